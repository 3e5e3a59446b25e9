import type { GroupId, Index } from '@raftkit/contract'
import { seal, unseal } from './frame.ts'

/**
 * What stands in LevelDB:
 *
 *     m                        the store's totals
 *     h <group>                the group's head: what its other keys must add up to
 *     s <group>                its state blob
 *     r <group> 0 <epoch> <at> a piece of its log: records from `at` on (epoch and at big-endian, so that they sort)
 *
 * **Stamps.** Every write of every group gets the next number of the store, its stamp. LevelDB drops damaged parts of its log in silence,
 * so whatever may vanish is named by something else: the head names the stamps of the newest piece and of the state; a piece names the one
 * before it; and the store's stamp is the sum of the heads' counts of writes (and of `retired`, those of destroyed groups), so that
 * it is larger than the sum when a head is lost or old. That the store as a whole is old, only the mark outside can tell.
 *
 * **Epochs.** A reset begins a new epoch (its stamp), so that the pieces of the old one need not be removed at once.
 */
export interface Totals {
  /** The number of writes so far. */
  readonly stamp: number
  /** How many of them belong to groups that are no more. */
  readonly retired: number
}

export interface Head {
  /** How many writes the group has had. */
  readonly writes: number
  /** The stamp of the write with which its pieces begin. */
  readonly epoch: number
  readonly first: Index
  readonly last: Index
  /** Place and stamp of the newest piece; 0, 0 if none is needed. */
  readonly pieceAt: Index
  readonly pieceStamp: number
  /** The stamp of the write that set the state; 0 if none did. */
  readonly stateStamp: number
}

/** Records from `at` (in the key) on. A later piece that begins before this one ends cuts it there. */
export interface Piece {
  readonly stamp: number
  readonly previousAt: Index
  readonly previousStamp: number
  readonly count: number
  readonly records: Uint8Array
}

export const totalsKey: Uint8Array = Buffer.from('m')
export const headKey = (group: GroupId): Uint8Array => Buffer.from(`h${group}`)
export const stateKey = (group: GroupId): Uint8Array => Buffer.from(`s${group}`)

export const allHeads: Range = { gte: Buffer.from('h'), lt: Buffer.from('i') }
export const allPieces: Range = { gte: Buffer.from('r'), lt: Buffer.from('s') }

export const groupOfHead = (key: Uint8Array): GroupId => Buffer.from(key).toString('utf8', 1)
export const groupOfPiece = (key: Uint8Array): GroupId => Buffer.from(key).toString('utf8', 1, key.length - 17)

/** Keys from `gte` up to, and without, `lt`. */
export interface Range {
  readonly gte: Uint8Array
  readonly lt: Uint8Array
}

export function pieceKey(group: GroupId, epoch: number, at: Index): Uint8Array {
  const key = Buffer.alloc(group.length + 18)
  key.write(`r${group}`)
  for (const [offset, number] of [
    [group.length + 2, epoch],
    [group.length + 10, at],
  ] as const) {
    key.writeUInt32BE(Math.floor(number / 2 ** 32), offset)
    key.writeUInt32BE(number >>> 0, offset + 4)
  }
  return key
}

/** Where the piece of this key begins. */
export function placeOf(key: Uint8Array): Index {
  const view = new DataView(key.buffer, key.byteOffset + key.length - 8, 8)
  return view.getUint32(0) * 2 ** 32 + view.getUint32(4)
}

/** All pieces of a group, or those of epochs before one, or those of one epoch before a place. */
export function piecesOf(group: GroupId, epoch: number = Number.MAX_SAFE_INTEGER): Range {
  return { gte: pieceKey(group, 0, 0), lt: pieceKey(group, epoch, 0) }
}

export const encodeTotals = ({ stamp, retired }: Totals): Uint8Array => seal(totalsKey, [stamp, retired])

export function decodeTotals(value: Uint8Array): Totals | undefined {
  const frame = unseal(totalsKey, value, 2)
  return frame && { stamp: frame.numbers[0]!, retired: frame.numbers[1]! }
}

const headFields = ['writes', 'epoch', 'first', 'last', 'pieceAt', 'pieceStamp', 'stateStamp'] as const

export const encodeHead = (group: GroupId, head: Head): Uint8Array =>
  seal(
    headKey(group),
    headFields.map((field) => head[field]),
  )

export function decodeHead(group: GroupId, value: Uint8Array): Head | undefined {
  const frame = unseal(headKey(group), value, headFields.length)
  return frame && (Object.fromEntries(headFields.map((field, i) => [field, frame.numbers[i]])) as unknown as Head)
}

export const encodeState = (group: GroupId, stamp: number, state: Uint8Array): Uint8Array =>
  seal(stateKey(group), [stamp], state)

export function decodeState(group: GroupId, value: Uint8Array): { stamp: number; state: Uint8Array } | undefined {
  const frame = unseal(stateKey(group), value, 1)
  return frame && { stamp: frame.numbers[0]!, state: frame.bytes }
}

export const encodePiece = (key: Uint8Array, piece: Piece): Uint8Array =>
  seal(key, [piece.stamp, piece.previousAt, piece.previousStamp, piece.count], piece.records)

export function decodePiece(key: Uint8Array, value: Uint8Array): Piece | undefined {
  const frame = unseal(key, value, 4)
  if (!frame) return undefined
  const [stamp, previousAt, previousStamp, count] = frame.numbers as [number, number, number, number]
  return { stamp, previousAt, previousStamp, count, records: frame.bytes }
}
