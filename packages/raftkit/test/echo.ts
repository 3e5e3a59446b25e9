import { checksumSeed, encodeRecords, hash128, Reader, recordEnd, recordKind, Writer } from '@raftkit/bytes'
import {
  type Effects,
  type Happening,
  type Index,
  type NodeId,
  type Opening,
  type Outgoing,
  type Protocol,
  type ProtocolEvent,
  type ProtocolInit,
  type ProtocolKind,
  RaftkitError,
  type Run,
  type Settled,
  type SnapshotPoint,
  type Status,
} from '@raftkit/contract'

/** What an echo node tells the others: what it proposed. */
export interface Echo {
  readonly text: string
}

/**
 * A second implementation of the Protocol port, as small as it can be: every node is a cluster of one that commits what is durable, and
 * tells the other founders what it proposed. It proves that the runtime drives any protocol, and lets tests look at its rules one by one.
 */
export const echo: ProtocolKind<Echo> = {
  name: 'echo',
  open: (init) => new EchoOpening(init),
}

interface Kept {
  readonly incarnation: string
  readonly boot: number
  readonly snapshot?: SnapshotPoint
}

class EchoOpening implements Opening<Echo> {
  readonly snapshot: SnapshotPoint | undefined
  readonly #init: ProtocolInit
  readonly #kept: Kept
  readonly #records: Uint8Array[] = []

  constructor(init: ProtocolInit) {
    this.#init = init
    const { state } = init.found
    const kept: Kept = state ? JSON.parse(new TextDecoder().decode(state)) : { incarnation: init.incarnation, boot: 0 }
    this.#kept = { ...kept, boot: kept.boot + 1 }
    this.snapshot = kept.snapshot
  }

  load({ bytes, count }: Run): void {
    for (let i = 0, at = 0; i < count; i++) {
      const end = recordEnd(bytes, at)
      this.#records.push(bytes.subarray(at, end))
      at = end
    }
  }

  start(): Protocol<Echo> {
    return new EchoProtocol(this.#init, this.#kept, this.#records.length)
  }
}

const genesis = '1'.padStart(32, '0')

class EchoProtocol implements Protocol<Echo> {
  readonly #init: ProtocolInit
  #kept: Kept
  #first: Index
  #last: Index
  #durable: Index
  #handedOut: Index
  #applied: Index = 0
  #write = 0
  #writes: { readonly id: number; readonly last: Index }[] = []
  #waiting: { readonly id: number; readonly index: Index }[] = []
  #appended: Uint8Array[] = []
  #appendedFrom = 0
  #stateChanged = true
  #compactTo: Index | undefined
  #settled: Settled[] = []
  #happened: Happening[] = []
  #messages: Echo[] = []
  #retain = false
  #ask = 0
  #deadline: number | undefined

  constructor(init: ProtocolInit, kept: Kept, records: number) {
    this.#init = init
    this.#kept = kept
    this.#first = init.found.first
    this.#last = this.#first - 1 + records
    this.#durable = this.#last
    this.#handedOut = kept.snapshot?.index ?? 0
  }

  step(event: ProtocolEvent<Echo>, now: number): void {
    switch (event.type) {
      case 'propose': {
        const { id, data, time, seed } = event
        const text = new TextDecoder().decode(data)
        if (text === 'refuse') {
          this.#settled.push({ type: 'refused', id, code: 'OVERLOADED', reason: 'it was asked to', leader: 'n9' })
          break
        }
        if (text === 'lose') break
        if (text === 'break') throw new Error('an invariant is broken')
        if (text.startsWith('deadline')) this.#deadline = now + Number(text.slice(8))
        const index = ++this.#last
        if (this.#appended.length === 0) this.#appendedFrom = index
        const record = { kind: recordKind.command, index, term: 1, time, seed, payload: data }
        this.#appended.push(encodeRecords([record], checksumSeed(genesis, this.#init.group)))
        this.#waiting.push({ id, index })
        this.#messages.push({ text })
        break
      }
      case 'message':
        this.#happened.push({ type: 'ignored', from: event.from.id, reason: event.message.text })
        break
      case 'durable':
        for (const write of this.#writes)
          if (write.id <= event.write) this.#durable = Math.max(this.#durable, write.last)
        this.#writes = this.#writes.filter(({ id }) => id > event.write)
        break
      case 'applied':
        this.#applied = event.index
        break
      case 'read': {
        const until = event.consistency === 'lease' ? { until: now + 10 } : {}
        this.#settled.push({ type: 'read', id: event.id, index: this.#durable, ...until })
        break
      }
      case 'transfer':
        this.#settled.push({ type: 'transferred', id: event.id, to: event.to ?? 'nobody' })
        break
      case 'change':
        this.#settled.push({ type: 'refused', id: event.id, code: 'REFUSED', reason: 'an echo has no members' })
        break
      case 'snapshot': {
        const { name, index, bytes } = event
        this.#kept = { ...this.#kept, snapshot: { name, index, term: 1, bytes } }
        this.#stateChanged = true
        this.#compactTo = index
        this.#first = index + 1
        this.#retain = true
        this.#happened.push({ type: 'snapshot', step: 'taken', snapshot: this.#kept.snapshot! })
        break
      }
      case 'time':
        this.#deadline = undefined
        this.#happened.push({ type: 'ignored', from: this.#init.id, reason: `time ${event.stalled ?? 0}` })
        break
    }
  }

  take(): Effects<Echo> {
    const change = {
      ...(this.#stateChanged ? { state: new TextEncoder().encode(JSON.stringify(this.#kept)) } : {}),
      ...(this.#appended.length > 0
        ? { tail: { at: this.#appendedFrom, run: { count: this.#appended.length, bytes: join(this.#appended) } } }
        : {}),
      ...(this.#compactTo !== undefined ? { compactTo: this.#compactTo } : {}),
    }
    const write = Object.keys(change).length > 0 ? { id: ++this.#write, change } : undefined
    if (write) this.#writes.push({ id: write.id, last: this.#last })
    const messages: Outgoing<Echo>[] = this.#messages.flatMap((message) =>
      this.#others().map((to) => ({
        to,
        incarnation: '',
        message,
        lane: message.text.startsWith('bulk') ? 'bulk' : 'control',
        after: message.text.startsWith('early') ? 0 : this.#write,
      })),
    )
    const settled: Settled[] = this.#settled
    for (const { id, index } of this.#waiting)
      if (index <= this.#durable) settled.push({ type: 'committed', id, index, term: 1 })
    this.#waiting = this.#waiting.filter(({ index }) => index > this.#durable)
    const from = this.#handedOut + 1
    const apply = this.#durable >= from ? { from, to: this.#durable } : undefined
    this.#handedOut = this.#durable
    const happened = this.#happened
    const asks = this.#retain ? [{ type: 'retain' as const, id: ++this.#ask, names: [this.#kept.snapshot!.name] }] : []
    this.#settled = []
    this.#happened = []
    this.#messages = []
    this.#appended = []
    this.#stateChanged = false
    this.#compactTo = undefined
    this.#retain = false
    return {
      messages,
      asks,
      settled,
      happened,
      ...(write ? { write } : {}),
      ...(apply ? { apply } : {}),
      ...(this.#deadline !== undefined ? { deadline: this.#deadline } : {}),
    }
  }

  encode(message: Echo): readonly Uint8Array[] {
    return [new Writer().text('echo').finish(), new Writer().text(message.text).finish()]
  }

  decode(bytes: Uint8Array): Echo {
    const reader = new Reader(bytes)
    if (reader.text() !== 'echo') throw new RaftkitError('MALFORMED', 'not an echo')
    const text = reader.text()
    reader.end()
    return { text }
  }

  status(): Status {
    const { incarnation, boot, snapshot } = this.#kept
    const { id } = this.#init
    const address = this.#init.address === undefined ? {} : { address: this.#init.address }
    const config = { format: 1, members: [{ id, incarnation, role: 'voter' as const, ...address }, ...this.#peers()] }
    const [last, durable, applied, first] = [this.#last, this.#durable, this.#applied, this.#first]
    return {
      ...{ id, incarnation, boot, genesis, role: 'leader', term: 1, leader: id },
      ...{ commit: durable, applied, first, last, durable, config, configIndex: 0, configCommitted: true },
      ...{ removed: false, snapshot, uncommittedBytes: 0, peers: [] },
    }
  }

  fork(): this {
    throw new RaftkitError('REFUSED', 'an echo is not for the model checker')
  }

  digest(): Uint8Array {
    return hash128(new TextEncoder().encode(`${this.#last}`))
  }

  #others(): NodeId[] {
    return this.#peers().map(({ id }) => id)
  }

  #peers() {
    const founders = this.#init.founders ?? []
    return founders
      .filter(({ id }) => id !== this.#init.id)
      .map((peer) => ({ ...peer, incarnation: '0'.repeat(32), role: 'learner' as const }))
  }
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const writer = new Writer()
  for (const part of parts) writer.raw(part)
  return writer.finish()
}
