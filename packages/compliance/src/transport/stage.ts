import assert from 'node:assert/strict'
import { setTimeout as passed } from 'node:timers/promises'
import type { Lane, NodeId, Transport } from '@raftkit/contract'
import { type Suite, settles } from '../runner.ts'
import { Child, type ChildOptions } from './child.ts'
import { Ledger, Party, type PartyOptions } from './party.ts'
import type { TransportSubject, Wire } from './subject.ts'

/** Defines the test of one promise, on a stage of its own. */
export type Promises = (name: string, body: (stage: Stage) => Promise<void>) => void

export function promisesOf(suite: Suite, subject: TransportSubject): Promises {
  return (name, body) =>
    suite.test(name, async () => {
      const stage = new Stage(subject)
      let failure: { readonly error: unknown } | undefined
      try {
        await body(stage)
      } catch (error) {
        failure = { error }
      }
      await stage.end(failure)
    })
}

export interface StartOptions extends PartyOptions {
  /** Null: it listens nowhere and only dials. */
  readonly address?: string | null
}

/** The parties of one test, and all that has to be cleared away after it. */
export class Stage {
  readonly subject: TransportSubject
  readonly #ledger = new Ledger()
  readonly #parties = new Set<Party>()
  readonly #wires = new Set<Wire>()
  readonly #children = new Set<Child>()
  readonly #patience: number
  #noise = 0

  constructor(subject: TransportSubject) {
    this.subject = subject
    this.#patience = subject.patience ?? 20_000
  }

  /** Not started. */
  party(id: NodeId, options: PartyOptions = {}): Party {
    const party = new Party(id, this.subject.create(), this.#ledger, options)
    this.#parties.add(party)
    return party
  }

  async start(id: NodeId, options: StartOptions = {}): Promise<Party> {
    return this.open(this.party(id, options), options.address)
  }

  async open(party: Party, at?: string | null): Promise<Party> {
    const address = at === null ? undefined : (at ?? (await this.subject.address()))
    const self = address === undefined ? { id: party.id } : { id: party.id, address }
    await settles(party.transport.start(self, party), `start of ${party.id}`, this.#patience)
    if (address !== undefined) party.address = reachedAt(this.subject, party.transport, address)
    return party
  }

  /** Two that listen and dial each other. */
  async pair(options: PartyOptions = {}): Promise<readonly [Party, Party]> {
    const [a, b] = [await this.start('a', options), await this.start('b', options)]
    await this.connect(a, b)
    return [a, b]
  }

  /** a dials b over a wire. */
  async wired(options: PartyOptions = {}): Promise<{ a: Party; b: Party; wire: Wire }> {
    const [a, b] = [await this.start('a', options), await this.start('b', options)]
    const wire = await this.subject.wire!(b.address!)
    this.#wires.add(wire)
    a.setPeers({ id: 'b', address: wire.address })
    await this.up(a, b)
    return { a, b, wire }
  }

  async child(options: ChildOptions): Promise<Child> {
    const child = new Child(this.subject.program!, options)
    this.#children.add(child)
    this.#ledger.write('hello', new TextEncoder().encode(child.hello))
    await this.until(
      () => child.address !== undefined,
      () => `the child starts: ${child.words}`,
    )
    return child
  }

  /** Each knows the address of all others, and all links are up. */
  async connect(...parties: Party[]): Promise<void> {
    for (const party of parties) party.setPeers(...parties)
    await this.up(...parties)
  }

  async up(...parties: Party[]): Promise<void> {
    await this.until(
      () => parties.every((party) => parties.every((other) => other === party || party.state(other) === 'up')),
      () => `all links are up; told were ${parties.map(({ id, links }) => `${id}: ${links.join(', ')}`).join('; ')}`,
    )
  }

  async down(from: Party, to: Party): Promise<void> {
    await this.until(
      () => from.state(to) === 'down',
      () => `${from.id} is told that ${to.id} is down; told were ${from.links.join(', ')}`,
    )
  }

  async until(condition: () => boolean, what: () => string): Promise<void> {
    const end = performance.now() + this.#patience
    while (!condition()) {
      if (performance.now() > end) assert.fail(`this never came true: ${what()}`)
      await passed(2)
    }
  }

  /** Time for what must not happen to happen. */
  async wait(ms: number): Promise<void> {
    await passed(ms)
  }

  /** Bytes that no other call gives. */
  noise(size: number): Uint8Array {
    const bytes = new Uint8Array(size)
    let state = Math.imul(++this.#noise, 2_654_435_761) + size
    for (let n = 0; n < size; n++) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) | 0
      bytes[n] = state >>> 16
    }
    return bytes
  }

  /** Sends until it is heard: a transport may drop, duplicate and reorder. */
  async deliver(from: Party, to: Party, parts: readonly Uint8Array[], lane: Lane, what = 'a frame'): Promise<void> {
    const whole = Buffer.concat(parts)
    const before = to.heard.length
    const arrived = () => to.heard.slice(before).some(({ frame }) => whole.equals(frame))
    let next = 0
    await this.until(
      () => {
        if (arrived()) return true
        if (performance.now() > next) {
          next = performance.now() + 100
          from.send(to, parts, lane)
        }
        return false
      },
      () => `${what} of ${whole.length} bytes from ${from.id} reaches ${to.id} as ${lane}`,
    )
  }

  /** Something gets through. */
  async reach(from: Party, to: Party, lane: Lane = 'control'): Promise<void> {
    await this.deliver(from, to, [this.noise(40)], lane)
  }

  async close(party: Party): Promise<void> {
    await settles(party.transport.close(), `close of ${party.id}`, this.#patience)
    party.closed = true
  }

  /** Clears away, and then fails for `failure`, or for what no transport may do. */
  async end(failure: { readonly error: unknown } | undefined): Promise<void> {
    const closing = [...this.#parties].map((party) => this.close(party))
    await Promise.all([...this.#children].map((child) => child.kill()))
    for (const wire of this.#wires) {
      wire.unblock()
      wire.close()
    }
    const ends = await Promise.allSettled(closing)
    await passed(10)
    const faults = [
      ...ends.flatMap((end) => (end.status === 'rejected' ? [String(end.reason)] : [])),
      ...[...this.#parties].flatMap((party) => [...party.faults, ...party.altered()]),
    ]
    const listed = faults.slice(0, 5).join('; ')
    if (!failure) assert.ok(faults.length === 0, listed)
    else if (faults.length === 0) throw failure.error
    else throw new Error(`${(failure.error as Error).message}; besides: ${listed}`, { cause: failure.error })
  }
}

function reachedAt(subject: TransportSubject, transport: Transport, address: string): string {
  return subject.reached ? subject.reached(transport, address) : address
}
