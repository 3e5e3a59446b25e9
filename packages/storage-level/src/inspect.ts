import { type Found, type GroupId, isRaftkitError } from '@raftkit/contract'
import type { Database } from './database.ts'
import { groupDamaged, isDamage, storeDamaged } from './failure.ts'
import {
  allHeads,
  allPieces,
  decodeHead,
  decodePiece,
  decodeState,
  decodeTotals,
  groupOfHead,
  groupOfPiece,
  type Head,
  pieceKey,
  piecesOf,
  placeOf,
  stateKey,
  type Totals,
  totalsKey,
} from './layout.ts'
import type { Places } from './log.ts'

export interface Inventory extends Totals {
  readonly heads: Map<GroupId, Head>
  /** Groups that are no more, with pieces left to sweep. */
  readonly remains: readonly GroupId[]
}

/**
 * Reads what concerns the store as a whole. Rejects `DAMAGED` when anything durable is missing: `mark` is how many writes were known to be
 * (undefined: the mark itself is unreadable).
 */
export async function takeInventory(
  database: Database,
  directory: string,
  mark: number | undefined,
): Promise<Inventory> {
  const damaged = (what: string, cause?: unknown): Error => storeDamaged(directory, what, cause)
  try {
    return await database.read(async (level) => {
      const heads = new Map<GroupId, Head>()
      let sum = 0
      for await (const [key, value] of level.iterator(allHeads)) {
        const group = groupOfHead(key)
        const head = decodeHead(group, value)
        if (!head) throw damaged(`the head of group ${group} is altered`)
        heads.set(group, head)
        sum += head.writes
      }
      const remains: GroupId[] = []
      const pieces = level.keys({ ...allPieces, highWaterMarkBytes: 1 })
      try {
        for (let key = await pieces.next(); key; key = await pieces.next()) {
          const group = groupOfPiece(key)
          if (!heads.has(group)) remains.push(group)
          pieces.seek(piecesOf(group).lt)
        }
      } finally {
        await pieces.close()
      }
      const value = await level.get(totalsKey)
      const totals = value && decodeTotals(value)
      if (value && !totals) throw damaged('the totals of its writes are altered')
      if (!totals && (heads.size > 0 || remains.length > 0)) throw damaged('the totals of its writes are gone')
      const { stamp, retired } = totals ?? { stamp: 0, retired: 0 }

      if (mark === undefined)
        throw damaged('its mark is gone or altered, so that nothing tells whether writes were lost')
      if (stamp < mark) throw damaged(`of ${mark} writes that were durable, only the first ${stamp} are left`)
      if (sum + retired !== stamp)
        throw damaged(
          `of ${stamp} writes that were durable, ${sum + retired} are accounted for; some group is gone or old`,
        )
      return { stamp, retired, heads, remains }
    })
  } catch (error) {
    if (!isRaftkitError(error) && isDamage(error)) throw damaged('LevelDB cannot read it', error)
    throw error
  }
}

/** Reads a group's log from end to end and checks that nothing is missing, altered, out of place or old. Rejects `DAMAGED`. */
export async function inspectLog(
  database: Database,
  group: GroupId,
  head: Head,
): Promise<{ readonly found: Found; readonly places: Places }> {
  const damaged = (what: string, cause?: unknown): Error => groupDamaged(group, what, cause)
  const { first, last, epoch } = head
  try {
    return await database.read(async (level) => {
      const places: Places = { at: [], stamps: [] }
      const key = (at: number): Uint8Array => pieceKey(group, epoch, at)
      const iterator = level.iterator({
        gte: key(0),
        lt: pieceKey(group, epoch + 1, 0),
        highWaterMarkBytes: 1 << 20,
        fillCache: false,
      })
      let newest: { readonly at: number; readonly end: number; readonly stamp: number } | undefined
      let altered: number | undefined
      const gone = (from: number, to: number): Error =>
        damaged(
          altered === undefined
            ? `the records from ${from} to ${to} are gone`
            : `the records from ${altered} on are altered`,
        )
      for await (const [entryKey, value] of iterator) {
        const at = placeOf(entryKey)
        const piece = decodePiece(entryKey, value)
        if (at <= first) {
          // The best so far that may hold the first record. What came before is not needed any more, and waits to be swept.
          places.at.length = places.stamps.length = 0
          newest = altered = undefined
        } else {
          if (!newest || newest.end < at) throw gone(newest?.end ?? first, at - 1)
          if (piece && (piece.previousAt !== newest.at || piece.previousStamp !== newest.stamp))
            throw damaged(`records before ${at} are gone or old`)
        }
        if (!piece) {
          altered = at
          if (at > first) throw gone(at, last)
          continue
        }
        places.at.push(at)
        places.stamps.push(piece.stamp)
        newest = { at, end: at + piece.count, stamp: piece.stamp }
      }
      if (head.pieceStamp === 0) places.at.length = places.stamps.length = 0
      else if (newest?.at !== head.pieceAt || newest.stamp !== head.pieceStamp || newest.end <= last)
        throw gone(newest?.end ?? first, last)

      let state: Uint8Array | undefined
      if (head.stateStamp > 0) {
        const value = await level.get(stateKey(group))
        const kept = value && decodeState(group, value)
        if (!kept) throw damaged(`its state is ${value ? 'altered' : 'gone'}`)
        if (kept.stamp !== head.stateStamp) throw damaged('its state is an older one')
        state = kept.state
      }
      return { found: { first, last, ...(state && { state }) }, places }
    })
  } catch (error) {
    if (!isRaftkitError(error) && isDamage(error)) throw damaged('LevelDB cannot read it', error)
    throw error
  }
}
