import type { NodeId } from '@raftkit/contract'

export interface TransportReport {
  /**
   * `unreachable`: nobody answers where a peer is dialled. `refused`: somebody does, and one of the two turned the other down.
   * `malformed`: an admitted peer sent what is no frame; its connection was closed.
   * `insecure`: this node listens in the clear, and not on loopback only.
   */
  readonly kind: 'unreachable' | 'refused' | 'malformed' | 'insecure'
  /** `host:port` of the other side; of this node, if it is about that. */
  readonly remote: string
  /** The peer that was dialled or admitted; absent for strangers. */
  readonly peer?: NodeId
  readonly reason: string
}

export type TransportCounters = Readonly<Record<TransportReport['kind'], number>>

/** What is remembered, so that strangers cannot fill the memory. */
const remembered = 256
/** What is told of strangers per minute: they can come up with ever new causes, and shall not fill the log. */
const ofStrangers = 60

/** Counts everything and says a thing once: what fails is tried again every second at most, and would be told as often. */
export class Reports {
  #tell: ((report: TransportReport) => void) | undefined
  readonly #counts = { unreachable: 0, refused: 0, malformed: 0, insecure: 0 }
  #minute = 0
  #toldOfStrangers = 0
  readonly #told = new Map<string, { readonly kind: TransportReport['kind']; readonly peer: NodeId | undefined }>()

  constructor(tell: ((report: TransportReport) => void) | undefined) {
    this.#tell = tell
  }

  get counters(): TransportCounters {
    return { ...this.#counts }
  }

  report(kind: TransportReport['kind'], remote: string, reason: string, peer?: NodeId): void {
    this.#counts[kind]++
    // A stranger comes from another port each time.
    const key = JSON.stringify([kind, peer ?? remote.replace(/:\d+$/, ''), reason])
    if (!this.#tell || this.#told.has(key)) return
    if (peer === undefined && kind !== 'insecure' && !this.#roomForStrangers()) return
    const [oldest] = this.#told.keys()
    if (oldest !== undefined && this.#told.size >= remembered) this.#told.delete(oldest)
    this.#told.set(key, { kind, peer })
    try {
      this.#tell({ kind, remote, reason, ...(peer === undefined ? {} : { peer }) })
    } catch {
      // A failing log is no reason to lose a connection.
    }
  }

  #roomForStrangers(): boolean {
    const minute = Math.floor(Date.now() / 60_000)
    if (minute !== this.#minute) this.#toldOfStrangers = 0
    this.#minute = minute
    return this.#toldOfStrangers++ < ofStrangers
  }

  /** The peer is connected: whatever comes next is news. But for what only a connected peer can do, which it does again after each connection. */
  forget(peer: NodeId): void {
    for (const [key, of] of this.#told) if (of.peer === peer && of.kind !== 'malformed') this.#told.delete(key)
  }

  stop(): void {
    this.#tell = undefined
  }
}
