import type { GroupId, LogStore, LogWrite, Storage } from '@raftkit/contract'
import { contents, run } from '@raftkit/testing/records'
import { expect } from 'vitest'
import type { Below } from './virtual-disk.ts'

// What a group's log is after each of its writes, told naively: a list.

export function random(seed: number): Below {
  let state = seed >>> 0
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % n
  }
}

interface Moment {
  /** Below here nothing can be there any more; below `first` it may. */
  readonly floor: number
  readonly first: number
  readonly versions: readonly number[]
  readonly state: string | undefined
}

export class History {
  readonly group: GroupId
  readonly moments: Moment[] = [{ floor: 1, first: 1, versions: [], state: undefined }]
  /** Writes that have resolved. */
  resolved = 0

  constructor(group: GroupId) {
    this.group = group
  }

  get last(): number {
    const { floor, versions } = this.moments.at(-1)!
    return floor + versions.length - 1
  }

  /** A write that fits, told here as well. Appends most of the time, of records of `size` bytes. */
  next(below: Below, size: number): LogWrite {
    const version = this.moments.length
    let { floor, first, versions, state } = this.moments.at(-1)!
    const change: { -readonly [K in keyof LogWrite]: LogWrite[K] } = {}
    const kind = below(16)
    let last = floor + versions.length - 1
    if (kind < 13) {
      const back = below(5) === 0 ? below(Math.min(last + 1 - first, 6) + 1) : 0
      const at = last + 1 - back
      const count = below(8) === 0 ? 0 : 1 + below(4)
      change.tail = { at, run: run(at, count, version, size) }
      versions = [...versions.slice(0, at - floor), ...Array.from({ length: count }, () => version)]
    } else if (kind === 13) {
      const at = 1 + below(last + 20)
      const count = below(4)
      change.tail = { at, run: run(at, count, version, size), reset: true }
      floor = first = at
      versions = Array.from({ length: count }, () => version)
    }
    last = floor + versions.length - 1
    if (kind > 13 || below(4) === 0) {
      state = `state ${version}`
      change.state = Buffer.from(state)
    }
    if (below(5) === 0) {
      change.compactTo = first - 1 + below(last - first + 2)
      first = change.compactTo + 1
    }
    this.moments.push({ floor, first, versions, state })
    return change
  }

  /** The log is what some first writes made it, all resolved ones among them. Returns how many. */
  async check(storage: Storage, what: string): Promise<number> {
    const log = await storage.log(this.group).catch((error: unknown) => {
      throw new Error(`${what}, group ${this.group}: ${String(error)}`)
    })
    const { first, last, state } = log.found
    const held = await contents(log, first, last, 50_000).catch((error: unknown) => {
      throw new Error(`${what}, group ${this.group}, ${first} to ${last}: ${String(error)}`)
    })
    const told = state && Buffer.from(state).toString()
    const fits = this.moments.map(
      (moment) =>
        moment.state === told &&
        moment.floor + moment.versions.length - 1 === last &&
        moment.floor <= first &&
        first <= moment.first &&
        moment.versions
          .slice(first - moment.floor)
          .map((version, i) => `${first + i}.${version}`)
          .join() === held.join(),
    )
    const found = fits.lastIndexOf(true)
    const line = `${what}, group ${this.group}: ${first} to ${last}, ${told}`
    expect(found, `${line}: no prefix of the writes`).toBeGreaterThanOrEqual(0)
    expect(found, `${line}: resolved writes are gone`).toBeGreaterThanOrEqual(this.resolved)
    await log.close()
    return found
  }

  /** It goes on from what was found: a promise once a new owner has been told so, and not before. */
  from(count: number): History {
    const next = this.copy()
    next.moments.length = count + 1
    return next
  }

  copy(): History {
    const copy = new History(this.group)
    copy.moments.splice(0, 1, ...this.moments)
    copy.resolved = this.resolved
    return copy
  }
}

/** Writes here and there, several at once, and waits for them now and then. */
export async function live(
  storage: Storage,
  histories: readonly History[],
  below: Below,
  writes: number,
  size: () => number,
): Promise<void> {
  const logs = new Map<GroupId, LogStore>()
  for (const history of histories) {
    logs.set(history.group, await storage.log(history.group))
    history.resolved = history.moments.length - 1
  }
  const pending: Promise<void>[] = []
  for (let i = 0; i < writes; i++) {
    const history = histories[below(histories.length)]!
    pending.push(
      logs
        .get(history.group)!
        .write(history.next(below, size()))
        .then(() => {
          history.resolved++
        }),
    )
    if (below(3) === 0) await Promise.all(pending.splice(0))
  }
  await Promise.all(pending)
  for (const log of logs.values()) await log.close()
}
