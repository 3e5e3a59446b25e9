import { setTimeout as pause } from 'node:timers/promises'
import { type BftClient, bftClient, type Report } from '@raftkit/bft-client'
import { isRaftkitError } from '@raftkit/contract'
import { ed25519 } from '@raftkit/ed25519'
import { decodeResult, encodeCommand } from 'raftkit'
import { type Genesis, trustOf } from '../genesis.ts'
import type { LedgerEntry } from '../machine.ts'
import { clerkFolder } from '../organisations.ts'
import { HttpsWire, readIdentity } from '../wire.ts'

/** So many requests of a lane for one receipt. */
const perReceipt = 8

/** Milliseconds: long enough for a term or two that come to nothing. */
const timeout = 30_000

/** Who writes for one organisation, without a pause, until told to stop; and what became of each entry. */
export class Clerk {
  readonly client: BftClient
  readonly wire: HttpsWire
  /** By content: what f + 1 members said of it. */
  readonly acknowledged: Map<string, LedgerEntry> = new Map()
  readonly unknown: Set<string> = new Set()
  refused = 0
  /** Receipts that nobody gave. */
  unproven = 0
  /** By position, of a request now and then. */
  readonly receipts: Map<number, Uint8Array> = new Map()
  readonly #id: string
  readonly #stop = new AbortController()
  readonly #lanes: Promise<void>[] = []

  constructor(directory: string, genesis: Genesis, id: string, report: (report: Report) => void) {
    const { tls, key } = readIdentity(clerkFolder(directory, id))
    this.#id = id
    this.wire = new HttpsWire(genesis, tls)
    // Without patience: all members are asked, and so no liar is spared.
    const manner = { timeout, patience: 1, report }
    this.client = bftClient({ trust: trustOf(genesis), signatures: ed25519(key), wire: this.wire, ...manner })
  }

  /** `batch`: entries under one signature. */
  write(lanes: number, batch: number): void {
    for (let lane = 0; lane < lanes; lane++) this.#lanes.push(this.#writeOn(lane, batch))
  }

  /** Resolves when no request is under way any more. */
  async finish(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#lanes)
  }

  async #writeOn(lane: number, batch: number): Promise<void> {
    for (let at = 0; !this.#stop.signal.aborted; at++) {
      const contents = Array.from({ length: batch }, (_, n) => `${this.#id} ${lane}.${at}.${n}`)
      try {
        const { position, results } = await this.client.submit(
          contents.map((content) => encodeCommand('append', { content })),
        )
        for (const [n, result] of results.entries())
          this.acknowledged.set(contents[n]!, decodeResult(result) as LedgerEntry)
        if (at % perReceipt === 0) await this.#keepReceipt(position)
      } catch (error) {
        if (!isRaftkitError(error)) throw error
        if (error.outcome === 'refused') this.refused += contents.length
        else for (const content of contents) this.unknown.add(content)
        await pause(50)
      }
    }
  }

  async #keepReceipt(position: number): Promise<void> {
    try {
      this.receipts.set(position, (await this.client.receipt(position)).bytes)
    } catch (error) {
      if (!isRaftkitError(error)) throw error
      this.unproven++
    }
  }
}
