import type { Term } from '@raftkit/contract'
import type { Hash } from './hash.ts'
import type { Request } from './request.ts'
import { nameOf, type Used } from './used.ts'

/** A client's request that waits to be executed; its signature was verified. Never altered, but for what is noted about it. */
export interface Pooled {
  readonly bytes: Uint8Array
  readonly hash: Hash
  readonly request: Request
  /** When it came, by the clock of this host. */
  readonly since: number
  /** The leader of this term was told of it by this member. */
  forwarded: Term | undefined
}

/** What one client may have waiting here, and all together: requests and bytes. Whoever sends more sends it again later. */
const most = { requests: 16_384, bytes: 64 * 1024 * 1024 }
const mostOfOne = { requests: 1024, bytes: 8 * 1024 * 1024 }

interface Share {
  /** In the order in which they came: those nobody took yet, and those that are on their way. */
  waiting: Map<Hash, Pooled>
  taken: Map<Hash, Pooled>
  bytes: number
  /** When something of this client was executed. */
  served: number
}

/**
 * Requests that wait, each client's in the order in which they came. A leader takes them by turns, one of each client: who floods it waits
 * behind itself alone (F19), and what a client may keep waiting is bounded (I21).
 */
export class Pool {
  readonly #all: Map<Hash, Pooled> = new Map()
  readonly #shares: Map<string, Share> = new Map()
  /** Clients of whom something can be taken; whose turn is next comes first. */
  readonly #turns: Map<string, Share> = new Map()
  #bytes = 0
  #waiting = 0

  fork(): Pool {
    const copy = new Pool()
    for (const pooled of this.#all.values()) copy.#all.set(pooled.hash, { ...pooled })
    const copied = (some: Map<Hash, Pooled>): Map<Hash, Pooled> =>
      new Map([...some.keys()].map((hash) => [hash, copy.#all.get(hash)!]))
    for (const [client, { waiting, taken, bytes, served }] of this.#shares)
      copy.#shares.set(client, { waiting: copied(waiting), taken: copied(taken), bytes, served })
    for (const client of this.#turns.keys()) copy.#turns.set(client, copy.#shares.get(client)!)
    copy.#bytes = this.#bytes
    copy.#waiting = this.#waiting
    return copy
  }

  get size(): number {
    return this.#all.size
  }

  /** How many can be taken. */
  get waiting(): number {
    return this.#waiting
  }

  has(hash: Hash): boolean {
    return this.#all.has(hash)
  }

  /** The oldest first. */
  [Symbol.iterator](): Iterator<Pooled> {
    return this.#all.values()
  }

  /** Whether there is room for one more of that client. */
  hasRoom({ client }: Request, bytes: number): boolean {
    if (this.#all.size >= most.requests || this.#bytes + bytes > most.bytes) return false
    const share = this.#shares.get(nameOf(client))
    if (share === undefined) return true
    return share.waiting.size + share.taken.size < mostOfOne.requests && share.bytes + bytes <= mostOfOne.bytes
  }

  /** What waits under one of the request's numbers, and is another request (F16). */
  rival(request: Request): Pooled | undefined {
    const share = this.#shares.get(nameOf(request.client))
    if (share === undefined) return undefined
    for (const pooled of all(share)) if (overlap(pooled.request, request)) return pooled
    return undefined
  }

  add(pooled: Pooled): void {
    const { hash, bytes, request } = pooled
    if (this.#all.has(hash)) return
    const client = nameOf(request.client)
    const share = this.#shares.get(client) ?? { waiting: new Map(), taken: new Map(), bytes: 0, served: 0 }
    this.#shares.set(client, share)
    this.#all.set(hash, pooled)
    share.waiting.set(hash, pooled)
    this.#waiting++
    share.bytes += bytes.length
    this.#bytes += bytes.length
    if (share.waiting.size === 1) this.#turns.set(client, share)
  }

  /** The next whose turn it is; nothing: none that was not taken yet is `wanted`. */
  take(wanted: (pooled: Pooled) => boolean): Pooled | undefined {
    for (const [client, share] of this.#turns) {
      this.#turns.delete(client)
      for (const pooled of share.waiting.values()) {
        share.waiting.delete(pooled.hash)
        share.taken.set(pooled.hash, pooled)
        this.#waiting--
        if (!wanted(pooled)) continue
        if (share.waiting.size > 0) this.#turns.set(client, share)
        return pooled
      }
    }
    return undefined
  }

  /** It was taken, and did not fit: its client is next. */
  giveBack({ hash, request }: Pooled): void {
    const client = nameOf(request.client)
    const share = this.#shares.get(client)!
    share.waiting = new Map([[hash, share.taken.get(hash)!], ...share.waiting])
    share.taken.delete(hash)
    this.#waiting++
    const others = [...this.#turns].filter(([name]) => name !== client)
    this.#turns.clear()
    for (const [name, turn] of [[client, share] as const, ...others]) this.#turns.set(name, turn)
  }

  /** All may be taken again: in a new term nothing is on its way. */
  restock(): void {
    for (const [client, share] of this.#shares) {
      share.waiting = new Map([...share.taken, ...share.waiting])
      share.taken = new Map()
      this.#turns.set(client, share)
    }
    this.#waiting = this.#all.size
  }

  /** It was executed: it goes, and whatever its client has under the same numbers. */
  executed(hash: Hash, request: Request, used: Used, now: number): void {
    const served = this.#shares.get(nameOf(request.client))
    if (served) served.served = now
    if (this.#all.has(hash)) return this.#remove(hash)
    const share = this.#shares.get(nameOf(request.client))
    if (share === undefined) return
    for (const pooled of all(share)) if (!used.isFresh(pooled.request)) this.#remove(pooled.hash)
  }

  /** What waits the longest for a client of whom nothing was executed since `before`, and came before that (F28). */
  neglected(before: number): Pooled | undefined {
    for (const share of this.#shares.values())
      if (share.served < before) for (const pooled of all(share)) if (pooled.since < before) return pooled
    return undefined
  }

  /** What can never run any more goes: its client has moved on without it. */
  sweep(used: Used): void {
    for (const { hash, request } of this.#all.values()) if (!used.isFresh(request)) this.#remove(hash)
  }

  #remove(hash: Hash): void {
    const { bytes, request } = this.#all.get(hash)!
    const client = nameOf(request.client)
    const share = this.#shares.get(client)!
    this.#all.delete(hash)
    if (share.waiting.delete(hash)) this.#waiting--
    share.taken.delete(hash)
    share.bytes -= bytes.length
    this.#bytes -= bytes.length
    if (share.waiting.size === 0) this.#turns.delete(client)
    if (share.waiting.size + share.taken.size === 0) this.#shares.delete(client)
  }
}

const all = ({ taken, waiting }: Share): Pooled[] => [...taken.values(), ...waiting.values()]

function overlap(a: Request, b: Request): boolean {
  return a.session === b.session && a.seq < b.seq + b.operations.length && b.seq < a.seq + a.operations.length
}
