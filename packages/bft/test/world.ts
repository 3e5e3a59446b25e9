import {
  type Check,
  decodeMessage,
  decodeRequest,
  type Entry,
  encodeMessage,
  encodeRequest,
  headerHash,
  Members,
  type Message,
  type Request,
  requestCheck,
  Server,
  type ServerEvent,
} from '../src/index.ts'
import { founding, sha256 } from './keys.ts'

export function mulberry(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

/** A stand-in for signatures that costs little: whoever holds a key could forge with it, and nobody here does. */
const seal = (key: Uint8Array, bytes: Uint8Array): Uint8Array => sha256(new Uint8Array([...key, ...bytes]))
const isSealed = ({ key, bytes, signature }: Check): boolean => Buffer.compare(seal(key, bytes), signature) === 0

const keyOf = (name: string): Uint8Array => sha256(new TextEncoder().encode(name))

export type Fault = (message: Message, to: string, world: World) => Message | undefined

interface Machine {
  readonly id: string
  readonly server: Server
  readonly isHonest: boolean
  readonly fault: Fault
  readonly log: Entry[]
  durable: number
  held: { to: string; message: Message; after: number }[]
  alarm: number | undefined
}

interface Happening {
  readonly at: number
  readonly order: number
  readonly run: () => void
}

/** What the network does to a message until it heals. */
export interface Weather {
  readonly drop: number
  readonly twice: number
  readonly delay: number
  /** Pairs that hear nothing of each other. */
  readonly cut: (from: string, to: string, now: number) => boolean
}

export const fair: Weather = { drop: 0, twice: 0, delay: 5, cut: () => false }

/** Members in virtual time, over a network and disks that a seed decides. Every message crosses the wire as bytes. */
export class World {
  readonly members: Members
  readonly machines: Machine[] = []
  readonly random: () => number
  weather: Weather = fair
  now = 0
  #order = 0
  #queue: Happening[] = []

  constructor(n: number, seed: number) {
    this.random = mulberry(seed)
    const list = Array.from({ length: n }, (_, i) => ({ id: `m${i}`, key: keyOf(`m${i}`) }))
    this.members = new Members(sha256, 0, list, { index: 0, hash: headerHash(sha256, founding.header) })
  }

  /** `fault`: what a Byzantine one does to each message that it would send; an id may be started twice (Twins). */
  start(id: string, fault?: Fault): void {
    const settings = {
      ...{ digest: sha256, self: id, members: this.members, founding, timeout: 200, longestTimeout: 5000 },
      ...{ resend: 60, window: 4, batchBytes: 2000 },
    }
    const server = new Server(settings, this.now)
    const isHonest = fault === undefined
    this.machines.push({
      id,
      server,
      isHonest,
      fault: fault ?? ((m) => m),
      log: [],
      durable: 0,
      held: [],
      alarm: undefined,
    })
  }

  get honest(): Machine[] {
    return this.machines.filter(({ isHonest }) => isHonest)
  }

  request(client: string, seq: number, words: readonly string[] = [`${client} ${seq}`]): Uint8Array {
    const operations = words.map((word) => new TextEncoder().encode(word))
    const unsigned: Request = { client: keyOf(client), session: 1, seq, operations, signature: new Uint8Array(0) }
    const { key, bytes } = requestCheck(sha256, this.members.genesis.hash, unsigned)
    return encodeRequest({ ...unsigned, signature: seal(key, bytes) })
  }

  submit(request: Uint8Array, to: (machine: Machine) => boolean = () => true): void {
    for (const machine of this.machines)
      if (to(machine))
        this.#later(1 + this.random() * 5, () =>
          this.#step(machine, { type: 'request', request, time: Math.floor(this.now) }),
        )
  }

  /** Until nothing is left to do, or `until`. */
  run(until: number): void {
    for (let steps = 0; this.#queue.length > 0; steps++) {
      if (steps > 500_000) throw new Error(`no end at ${this.now}`)
      let first = 0
      for (let i = 1; i < this.#queue.length; i++) {
        const [a, b] = [this.#queue[i]!, this.#queue[first]!]
        if (a.at < b.at || (a.at === b.at && a.order < b.order)) first = i
      }
      const next = this.#queue[first]!
      if (next.at > until) break
      this.#queue[first] = this.#queue.at(-1)!
      this.#queue.pop()
      this.now = next.at
      next.run()
    }
    this.now = Math.max(this.now, until)
  }

  executed(machine: Machine): string[] {
    return machine.log
      .flatMap(({ items }) => items.flatMap((item) => decodeRequest(item).operations))
      .map((operation) => new TextDecoder().decode(operation))
  }

  /** Agreement, no gap, nothing twice, nothing forged: of all honest members, at any moment. */
  check(): void {
    for (const machine of this.honest) {
      for (const [at, { header, items }] of machine.log.entries()) {
        if (header.index !== at + 1) throw new Error(`${machine.id} applied ${header.index} at ${at + 1}`)
        for (const other of this.honest)
          if (other.log[at] && headerHash(sha256, other.log[at].header) !== headerHash(sha256, header))
            throw new Error(`${machine.id} and ${other.id} differ at ${at + 1}`)
        for (const item of items)
          if (!isSealed(requestCheck(sha256, this.members.genesis.hash, decodeRequest(item))))
            throw new Error(`${machine.id} executed what nobody signed`)
      }
      const executed = this.executed(machine)
      if (new Set(executed).size < executed.length) throw new Error(`${machine.id} executed something twice`)
    }
  }

  #later(delay: number, run: () => void): void {
    this.#queue.push({ at: this.now + delay, order: this.#order++, run })
  }

  #step(machine: Machine, event: ServerEvent): void {
    const { server } = machine
    server.step(event, this.now)
    const { write, messages, asks, committed, deadline } = server.take(this.now)
    machine.log.push(...committed)
    machine.held.push(...messages)
    if (write)
      this.#later(1 + this.random() * 4, () => {
        machine.durable = Math.max(machine.durable, write.id)
        this.#release(machine)
        this.#step(machine, { type: 'durable', write: write.id })
      })
    this.#release(machine)
    for (const ask of asks)
      this.#later(this.random(), () => {
        if (ask.type === 'verify')
          this.#step(machine, { type: 'verified', ask: ask.id, valid: ask.checks.map(isSealed) })
        else this.#step(machine, { type: 'signed', ask: ask.id, signature: seal(keyOf(machine.id), ask.bytes) })
      })
    const isSet = machine.alarm === deadline
    machine.alarm = deadline
    if (deadline !== undefined && !isSet)
      this.#later(Math.max(0, deadline - this.now), () => {
        if (machine.alarm !== deadline) return
        machine.alarm = undefined
        this.#step(machine, { type: 'time' })
      })
    if (machine.isHonest && committed.length > 0) this.check()
  }

  #release(machine: Machine): void {
    const ready = machine.held.filter(({ after }) => after <= machine.durable)
    machine.held = machine.held.filter(({ after }) => after > machine.durable)
    for (const { to, message } of ready) {
      const said = machine.fault(message, to, this)
      if (said !== undefined) this.#carry(machine, to, encodeMessage(said))
    }
  }

  #carry(from: Machine, to: string, bytes: Uint8Array): void {
    const { drop, twice, delay, cut } = this.weather
    if (cut(from.id, to, this.now) || this.random() < drop) return
    const copies = this.random() < twice ? 2 : 1
    for (let copy = 0; copy < copies; copy++)
      for (const machine of this.machines)
        if (machine.id === to && machine !== from)
          this.#later(1 + this.random() * delay, () =>
            this.#step(machine, { type: 'message', from: from.id, message: decodeMessage(bytes) }),
          )
  }
}
