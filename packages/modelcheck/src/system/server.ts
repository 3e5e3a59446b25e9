import { readRecord, recordEnd, recordKind } from '@raftkit/bytes'
import type { Ask, Effects, Outgoing, ProtocolEvent, Settled } from '@raftkit/contract'
import type { Message, Raft } from '@raftkit/core'
import { type Content, written } from './content.ts'
import type { Machine } from './scope.ts'

export type Event = ProtocolEvent<Message, unknown>
export type Answer = Extract<Event, { type: 'answer' }>['answer']

/** One server and its disk, between two steps. Never changed: a step makes another one. */
export interface Server {
  readonly slot: number
  /** What the disk holds; then what it will hold after each write that is under way, in order. */
  readonly contents: readonly Content[]
  /** Snapshots, complete ones and those that are being fetched. */
  readonly blobs: ReadonlyMap<string, string>
  readonly partial: ReadonlyMap<string, string>
  /** Undefined: it is down. */
  readonly life: Life | undefined
}

export interface Life {
  readonly protocol: Raft
  /** By its own clock, which no other server reads. */
  readonly now: number
  /** Ids of the writes under way, and of the last that is durable. */
  readonly writes: readonly number[]
  readonly durable: number
  /** Not sent before a write is durable. */
  readonly held: readonly Outgoing<Message>[]
  /** The state machine, applied up to `applied`. */
  readonly machine: string
  readonly applied: number
  /** Reads whose index is known but not applied yet. */
  readonly reads: readonly { readonly id: number; readonly index: number }[]
}

/** What came out of a step, besides the next state. */
export interface Outcome {
  readonly sent: Outgoing<Message>[]
  readonly settled: Settled[]
  /** Reads that were answered, and with what. */
  readonly answered: { readonly id: number; readonly state: string }[]
  /** What the machine answered to commands. */
  readonly applied: { readonly index: number; readonly command: string; readonly answer: string }[]
}

const text = new TextDecoder()
const utf8 = new TextEncoder()

/** One turn of a server: steps its protocol, and carries out all that it asks for but the flush of its writes. */
export class Turn {
  readonly outcome: Outcome = { sent: [], settled: [], answered: [], applied: [] }
  readonly #slot: number
  readonly #machine: Machine
  readonly #flushes: boolean
  readonly #protocol: Raft
  #now: number
  #contents: Content[]
  #blobs: Map<string, string>
  #partial: Map<string, string>
  #writes: number[]
  #durable: number
  #held: Outgoing<Message>[]
  #state: string
  #applied: number
  #reads: { readonly id: number; readonly index: number }[]

  /** `flushes`: every write is durable at once. */
  constructor(server: Server, life: Life, machine: Machine, flushes: boolean) {
    this.#slot = server.slot
    this.#machine = machine
    this.#flushes = flushes
    this.#contents = [...server.contents]
    this.#blobs = new Map(server.blobs)
    this.#partial = new Map(server.partial)
    this.#protocol = life.protocol
    this.#now = life.now
    this.#writes = [...life.writes]
    this.#durable = life.durable
    this.#held = [...life.held]
    this.#state = life.machine
    this.#applied = life.applied
    this.#reads = [...life.reads]
  }

  /** The server as it is after this turn. */
  get server(): Server {
    return {
      slot: this.#slot,
      contents: this.#contents,
      blobs: this.#blobs,
      partial: this.#partial,
      life: {
        protocol: this.#protocol,
        now: this.#now,
        writes: this.#writes,
        durable: this.#durable,
        held: this.#held,
        machine: this.#state,
        applied: this.#applied,
        reads: this.#reads,
      },
    }
  }

  wait(milliseconds: number): void {
    this.#now += milliseconds
  }

  do(event: Event): void {
    this.#protocol.step(event, this.#now)
    this.take()
  }

  take(): void {
    const effects = this.#protocol.take(this.#now) as Effects<Message>
    this.outcome.settled.push(...effects.settled)
    if (effects.write !== undefined) {
      this.#contents.push(written(this.#contents.at(-1)!, effects.write.change))
      this.#writes.push(effects.write.id)
    }
    this.#held.push(...effects.messages)
    this.#release()
    if (effects.apply !== undefined) this.#apply(effects.apply)
    for (const settled of effects.settled) if (settled.type === 'read') this.#reads.push(settled)
    this.#answerReads()
    for (const ask of effects.asks) {
      const answer = this.#carryOut(ask)
      if (answer !== undefined) this.do({ type: 'answer', ask: ask.id, answer })
    }
    if (this.#flushes) while (this.#writes.length > 0) this.flush()
  }

  /** The oldest write becomes durable. */
  flush(): void {
    this.#contents.shift()
    this.#durable = this.#writes.shift()!
    this.#release()
    this.do({ type: 'durable', write: this.#durable })
  }

  /** The runtime keeps what the machine holds, and says so. */
  snapshot(): void {
    const { protocol, index } = { protocol: this.#protocol, index: this.#applied }
    const name = `at${index}.${protocol.log.termAt(index)}`
    const blob = `${index}:${this.#state}`
    this.#blobs.set(name, blob)
    this.do({ type: 'snapshot', name, index, bytes: utf8.encode(blob).length })
  }

  #release(): void {
    const isHeld = ({ after }: Outgoing<Message>): boolean => after > this.#durable
    this.outcome.sent.push(...this.#held.filter((message) => !isHeld(message)))
    this.#held = this.#held.filter(isHeld)
  }

  #apply({ from, to, records }: NonNullable<Effects['apply']>): void {
    if (from !== this.#applied + 1) throw new Error(`told to apply ${from} after ${this.#applied}`)
    const { first, records: onDisk } = this.#contents.at(-1)!
    for (const part of records ?? onDisk.slice(from - first, to - first + 1)) {
      for (let offset = 0; offset < part.length; offset = recordEnd(part, offset)) {
        const { kind, index, payload } = readRecord(part, offset)
        if (index !== this.#applied + 1) throw new Error(`applies ${index} after ${this.#applied}`)
        this.#applied = index
        if (kind !== recordKind.command) continue
        const command = text.decode(payload)
        const { state, answer } = this.#machine.apply(this.#state, command, index)
        this.#state = state
        this.outcome.applied.push({ index, command, answer })
      }
    }
    if (this.#applied !== to) throw new Error(`told to apply up to ${to}, with records up to ${this.#applied}`)
    this.do({ type: 'applied', index: to })
  }

  #answerReads(): void {
    for (const { id, index } of this.#reads)
      if (index <= this.#applied) this.outcome.answered.push({ id, state: this.#state })
    this.#reads = this.#reads.filter(({ index }) => index > this.#applied)
  }

  restore(name: string): void {
    const blob = this.#blobs.get(name)
    if (blob === undefined) throw new Error(`the snapshot ${name} in force is not there`)
    const end = blob.indexOf(':')
    this.#applied = Number(blob.slice(0, end))
    this.#state = blob.slice(end + 1)
  }

  #carryOut(ask: Ask): Answer | undefined {
    switch (ask.type) {
      case 'readLog': {
        const { first, records } = this.#contents.at(-1)!
        if (ask.from < first) return { type: 'failed', code: 'COMPACTED' }
        const run = records.slice(ask.from - first, ask.to - first + 1)
        return { type: 'readLog', run: { count: run.length, bytes: endToEnd(run) } }
      }
      case 'readSnapshot': {
        const blob = this.#blobs.get(ask.name)
        if (blob === undefined) return { type: 'failed', code: 'MISSING' }
        return { type: 'readSnapshot', bytes: utf8.encode(blob).subarray(ask.offset, ask.offset + ask.maxBytes) }
      }
      case 'createSnapshot':
        if (this.#blobs.has(ask.name)) return { type: 'failed', code: 'REFUSED' }
        if (!this.#partial.has(ask.name)) this.#partial.set(ask.name, '')
        return { type: 'createSnapshot', held: utf8.encode(this.#partial.get(ask.name)!).length }
      case 'writeSnapshot': {
        const whole = this.#partial.get(ask.name)! + text.decode(ask.bytes)
        this.#partial.set(ask.name, whole)
        return { type: 'writeSnapshot', held: utf8.encode(whole).length }
      }
      case 'commitSnapshot':
        this.#blobs.set(ask.name, this.#partial.get(ask.name)!)
        this.#partial.delete(ask.name)
        return { type: 'commitSnapshot' }
      case 'restore':
        this.restore(ask.snapshot.name)
        return { type: 'restore' }
      case 'retain':
        for (const blobs of [this.#blobs, this.#partial])
          for (const name of blobs.keys()) if (!ask.names.includes(name)) blobs.delete(name)
        return undefined
      case 'takeSnapshot':
      case 'sign':
      case 'verify':
        throw new Error('Raft asks for no such thing')
    }
  }
}

export function endToEnd(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}
