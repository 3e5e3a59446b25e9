import { AssertionError } from 'node:assert'
import { readRecord, recordEnd } from '@raftkit/bytes'
import type {
  Effects,
  Found,
  Happening,
  Limits,
  LogWrite,
  Membership,
  NodeId,
  Outgoing,
  Peer,
  Settled,
  Timing,
} from '@raftkit/contract'
import { type Message, type Raft, raft } from '../src/index.ts'

/** Records of one log, as a disk holds them. */
interface DiskContent {
  state: Uint8Array | undefined
  first: number
  records: Uint8Array[]
}

const empty = (): DiskContent => ({ state: undefined, first: 1, records: [] })

/** A disk that finishes writes when told to; at a crash, what was not finished is gone. */
export class Disk {
  durable: DiskContent = empty()
  readonly blobs: Map<string, Uint8Array> = new Map()
  readonly partial: Map<string, Uint8Array> = new Map()
  pending: { id: number; change: LogWrite }[] = []

  write(id: number, change: LogWrite): void {
    this.pending.push({ id, change })
  }

  /** The oldest pending write becomes durable; returns its id. */
  flush(): number | undefined {
    const next = this.pending.shift()
    if (next === undefined) return undefined
    apply(this.durable, next.change)
    return next.id
  }

  crash(): void {
    this.pending = []
  }

  /** With the pending writes, as a read sees them. */
  content(): DiskContent {
    const content = { ...this.durable, records: this.durable.records.slice() }
    for (const { change } of this.pending) apply(content, change)
    return content
  }

  get found(): Found {
    const { state, first, records } = this.durable
    return { ...(state === undefined ? {} : { state }), first, last: first + records.length - 1 }
  }
}

function apply(content: DiskContent, change: LogWrite): void {
  if (change.tail !== undefined) {
    const { at, run, reset } = change.tail
    if (reset) {
      content.first = at
      content.records = []
    }
    if (at < content.first || at > content.first + content.records.length)
      throw new AssertionError({ message: `write at ${at} leaves a hole` })
    content.records.length = at - content.first
    let offset = 0
    for (let count = 0; count < run.count; count++) {
      const end = recordEnd(run.bytes, offset)
      content.records.push(run.bytes.slice(offset, end))
      offset = end
    }
    if (offset !== run.bytes.length) throw new AssertionError({ message: 'a run with more bytes than records' })
  }
  if (change.compactTo !== undefined) {
    if (change.compactTo >= content.first + content.records.length)
      throw new AssertionError({ message: 'compaction above the last record' })
    const gone = Math.max(0, change.compactTo + 1 - content.first)
    content.records.splice(0, gone)
    content.first += gone
  }
  if (change.state !== undefined) content.state = change.state
}

interface Packet {
  readonly from: NodeId
  readonly incarnation: string
  readonly genesis: string
  readonly outgoing: Outgoing<Message>
}

export interface ServerOptions {
  readonly timing?: Timing
  readonly limits?: Limits
  readonly membership?: Membership<never> | undefined
  /** Goes through bytes, as on a wire. Default true. */
  readonly encode?: boolean
  readonly maxMessageBytes?: number
  /** One for all: then servers differ by their ids alone. */
  readonly incarnation?: string
}

/** One server with its disk, and a machine that remembers what was applied. */
export class Server {
  readonly id: NodeId
  readonly disk: Disk
  readonly world: World
  raft: Raft
  /** Payloads of the applied commands, by index. A snapshot carries it. */
  applied: Map<number, string> = new Map()
  settled: Settled[] = []
  happened: Happening[] = []
  held: Outgoing<Message>[] = []
  deadline: number | undefined
  /** Writes finish at once. */
  autoFlush = true
  up = true
  incarnation: string

  constructor(world: World, id: NodeId, incarnation: string, founders: readonly Peer[] | undefined) {
    this.world = world
    this.id = id
    this.incarnation = incarnation
    this.disk = new Disk()
    this.raft = this.#open(founders)
  }

  #open(founders: readonly Peer[] | undefined): Raft {
    const { world } = this
    const opening = raft.open({
      id: this.id,
      address: this.id,
      cluster: 'test',
      group: 'main',
      incarnation: this.incarnation,
      ...(founders === undefined ? {} : { founders }),
      found: this.disk.found,
      seed: world.random(),
      maxMessageBytes: world.options.maxMessageBytes ?? 1024 * 1024,
      ...(world.options.membership === undefined ? {} : { membership: world.options.membership as Membership }),
      ...(world.options.timing === undefined ? {} : { timing: world.options.timing }),
      ...(world.options.limits === undefined ? {} : { limits: world.options.limits }),
    })
    this.applied = new Map()
    if (opening.snapshot !== undefined) this.#restore(opening.snapshot.name)
    for (const record of this.disk.durable.records) opening.load({ count: 1, bytes: record })
    return opening.start(world.now) as Raft
  }

  #restore(name: string): void {
    const bytes = this.disk.blobs.get(name)
    if (bytes === undefined) throw new AssertionError({ message: `no snapshot ${name}` })
    this.applied = new Map(JSON.parse(new TextDecoder().decode(bytes)) as [number, string][])
  }

  /** Everything not on the disk is gone. */
  crash(): void {
    this.up = false
    this.disk.crash()
    this.held = []
  }

  restart(): void {
    this.crash()
    this.up = true
    // Writes are counted from 1 again: nothing that this life says may leave on the strength of an earlier one's.
    this.durableWrite = 0
    this.raft = this.#open(undefined)
    this.take()
  }

  step(event: Parameters<Raft['step']>[0]): void {
    if (!this.up) return
    this.raft.step(event, this.world.now)
  }

  /** Steps and carries out what follows. */
  do(event: Parameters<Raft['step']>[0]): void {
    this.step(event)
    this.take()
  }

  take(): Effects<Message> | undefined {
    if (!this.up) return undefined
    const effects = this.raft.take(this.world.now)
    this.deadline = effects.deadline
    this.settled.push(...effects.settled)
    this.happened.push(...effects.happened)
    if (effects.write !== undefined) this.disk.write(effects.write.id, effects.write.change)
    this.held.push(...effects.messages)
    this.#release()
    if (effects.apply !== undefined) {
      const { from, to } = effects.apply
      let parts = effects.apply.records
      if (parts === undefined) {
        const { first, records } = this.disk.content()
        parts = records.slice(from - first, to - first + 1)
      }
      let index = from
      for (const part of parts) {
        for (let offset = 0; offset < part.length; offset = recordEnd(part, offset)) {
          const record = readRecord(part, offset)
          if (record.index !== index++) throw new AssertionError({ message: `applied ${record.index} out of order` })
          if (record.kind === 1) this.applied.set(record.index, new TextDecoder().decode(record.payload))
        }
      }
      if (index !== to + 1)
        throw new AssertionError({ message: `apply range ${from} … ${to} with records up to ${index - 1}` })
      this.step({ type: 'applied', index: to })
    }
    for (const ask of effects.asks) this.#answer(ask)
    if (this.autoFlush) this.flush()
    return effects
  }

  /** Finishes all pending writes, and what follows from them. */
  flush(): void {
    for (let id = this.disk.flush(); id !== undefined; id = this.disk.flush()) this.finish(id)
  }

  /** Finishes the oldest pending write. */
  flushOne(): void {
    const id = this.disk.flush()
    if (id !== undefined) this.finish(id)
  }

  private finish(id: number): void {
    this.step({ type: 'durable', write: id })
    this.durableWrite = id
    this.#release()
    this.take()
  }

  durableWrite = 0

  #release(): void {
    const leaving = this.held.filter(({ after }) => after <= this.durableWrite)
    this.held = this.held.filter(({ after }) => after > this.durableWrite)
    for (const outgoing of leaving) {
      this.world.send({ from: this.id, incarnation: this.incarnation, genesis: this.raft.state.genesis, outgoing })
    }
  }

  #answer(ask: Effects['asks'][number]): void {
    const answer = this.world.onAsk?.(this, ask) ?? this.carryOut(ask)
    if (answer !== undefined && answer !== 'later') this.step({ type: 'answer', ask: ask.id, answer })
    if (answer !== undefined && answer !== 'later') this.take()
  }

  carryOut(
    ask: Effects['asks'][number],
  ): Extract<Parameters<Raft['step']>[0], { type: 'answer' }>['answer'] | undefined {
    switch (ask.type) {
      case 'readLog': {
        const { first, records } = this.disk.content()
        if (ask.from < first) return { type: 'failed', code: 'COMPACTED' }
        const run = records.slice(ask.from - first, ask.to - first + 1)
        const some: Uint8Array[] = []
        for (let bytes = 0; some.length < run.length; bytes += some.at(-1)!.length) {
          if (some.length > 0 && bytes + run[some.length]!.length > ask.maxBytes) break
          some.push(run[some.length]!)
        }
        return {
          type: 'readLog',
          run: { count: some.length, bytes: Uint8Array.from(some.flatMap((record) => [...record])) },
        }
      }
      case 'readSnapshot': {
        const blob = this.disk.blobs.get(ask.name)
        if (blob === undefined) return { type: 'failed', code: 'MISSING' }
        return { type: 'readSnapshot', bytes: blob.slice(ask.offset, ask.offset + ask.maxBytes) }
      }
      case 'createSnapshot': {
        if (this.disk.blobs.has(ask.name)) return { type: 'failed', code: 'REFUSED' }
        const partial = this.disk.partial.get(ask.name) ?? new Uint8Array()
        this.disk.partial.set(ask.name, partial)
        return { type: 'createSnapshot', held: partial.length }
      }
      case 'writeSnapshot': {
        const whole = Uint8Array.from([...this.disk.partial.get(ask.name)!, ...ask.bytes])
        this.disk.partial.set(ask.name, whole)
        return { type: 'writeSnapshot', held: whole.length }
      }
      case 'commitSnapshot':
        this.disk.blobs.set(ask.name, this.disk.partial.get(ask.name)!)
        this.disk.partial.delete(ask.name)
        return { type: 'commitSnapshot' }
      case 'restore':
        this.#restore(ask.snapshot.name)
        return { type: 'restore' }
      case 'retain':
        for (const name of this.disk.blobs.keys()) if (!ask.names.includes(name)) this.disk.blobs.delete(name)
        for (const name of this.disk.partial.keys()) if (!ask.names.includes(name)) this.disk.partial.delete(name)
        return undefined
      case 'takeSnapshot':
      case 'sign':
      case 'verify':
        throw new AssertionError({ message: 'Raft asks for no such thing' })
    }
  }

  /** What the runtime does when a snapshot is due. */
  snapshot(): string {
    const name = `${this.raft.applied}-${this.id}-${this.world.nextId++}`
    const bytes = new TextEncoder().encode(
      JSON.stringify([...this.applied].filter(([index]) => index <= this.raft.applied)),
    )
    this.disk.blobs.set(name, bytes)
    this.do({ type: 'snapshot', name, index: this.raft.applied, bytes: bytes.length })
    return name
  }

  propose(text: string): number {
    const id = this.world.nextId++
    this.do({ type: 'propose', id, data: new TextEncoder().encode(text), time: 0, seed: 0 })
    return id
  }

  change(request: unknown): number {
    const id = this.world.nextId++
    this.do({ type: 'change', id, request, time: 0 })
    return id
  }

  read(consistency: 'linearizable' | 'lease' = 'linearizable'): number {
    const id = this.world.nextId++
    this.do({ type: 'read', id, consistency })
    return id
  }

  outcome(id: number): Settled | undefined {
    return this.settled.find((settled) => settled.id === id)
  }

  happenings<T extends Happening['type']>(type: T): Extract<Happening, { type: T }>[] {
    return this.happened.filter((happening): happening is Extract<Happening, { type: T }> => happening.type === type)
  }

  get role(): string {
    return this.raft.role.type
  }

  /** (index, term) of every entry in memory and on disk. */
  get terms(): string {
    const { log } = this.raft
    const terms: string[] = []
    for (let index = log.first; index <= log.last; index++) terms.push(`${index}:${log.termAt(index)}`)
    return terms.join(' ')
  }
}

/**
 * Several servers under one clock and one network, step by step: nothing is delivered and no time passes unless a test says so.
 * Messages go through bytes, as on a wire.
 */
export class World {
  now = 1000
  nextId = 1
  readonly servers: Map<NodeId, Server> = new Map()
  readonly options: ServerOptions
  packets: Packet[] = []
  /** Messages it returns false for are lost. */
  filter: (from: NodeId, to: NodeId, message: Message) => boolean = () => true
  onAsk:
    | ((server: Server, ask: Effects['asks'][number]) => ReturnType<Server['carryOut']> | 'later' | undefined)
    | undefined
  #seed: number

  constructor(ids: readonly NodeId[] = [], options: ServerOptions = {}, seed = 1) {
    this.options = options
    this.#seed = seed
    const founders = ids.map((id) => ({ id, address: id }))
    for (const id of ids) this.add(id, founders)
    for (const server of this.servers.values()) server.take()
  }

  random(): number {
    this.#seed = (Math.imul(this.#seed, 1664525) + 1013904223) >>> 0
    return this.#seed
  }

  /** A server with an empty disk; without founders, it waits to be added. */
  add(id: NodeId, founders?: readonly Peer[]): Server {
    const incarnation = this.options.incarnation ?? `${this.nextId++}`.padStart(32, '0')
    const server = new Server(this, id, incarnation, founders)
    this.servers.set(id, server)
    return server
  }

  /** Its disk is lost; it comes back under another incarnation. */
  wipe(id: NodeId): Server {
    const server = this.add(id)
    server.take()
    return server
  }

  server(id: NodeId): Server {
    return this.servers.get(id)!
  }

  send(packet: Packet): void {
    if (this.filter(packet.from, packet.outgoing.to, packet.outgoing.message)) this.packets.push(packet)
  }

  deliver(packet: Packet): void {
    const { from, incarnation, genesis, outgoing } = packet
    const server = this.servers.get(outgoing.to)
    if (server?.up !== true) return
    if (outgoing.incarnation !== '' && outgoing.incarnation !== server.incarnation) return
    if (genesis !== '' && server.raft.state.genesis !== '' && genesis !== server.raft.state.genesis) return
    let { message } = outgoing
    if (this.options.encode !== false) {
      const parts = server.raft.encode(message)
      const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
      let offset = 0
      for (const part of parts) {
        bytes.set(part, offset)
        offset += part.length
      }
      message = server.raft.decode(bytes)
    }
    server.do({ type: 'message', from: { id: from, incarnation }, genesis, message })
  }

  /** Delivers the oldest message that fits; says whether there was one. */
  deliverOne(fits: (packet: Packet) => boolean = () => true): boolean {
    const at = this.packets.findIndex(fits)
    if (at < 0) return false
    const [packet] = this.packets.splice(at, 1)
    this.deliver(packet!)
    return true
  }

  /** Delivers until no message is left. */
  settle(): void {
    for (let left = 100_000; this.packets.length > 0; left--) {
      if (left === 0) throw new AssertionError({ message: 'the messages never end' })
      this.deliverOne()
    }
  }

  /** Time passes, deadline by deadline; everything is delivered. */
  run(milliseconds: number): void {
    const end = this.now + milliseconds
    this.settle()
    for (let left = 1_000_000; left > 0; left--) {
      const due = [...this.servers.values()].filter(({ up, deadline }) => up && deadline !== undefined)
      const next = Math.min(...due.map(({ deadline }) => deadline!))
      if (!(next <= end)) break
      this.now = Math.max(this.now, next)
      for (const server of due) if (server.deadline! <= this.now) server.do({ type: 'time' })
      this.settle()
    }
    this.now = end
  }

  runUntil(done: () => boolean, milliseconds = 60_000): void {
    for (let passed = 0; !done(); passed += 10) {
      if (passed >= milliseconds) throw new AssertionError({ message: 'it never came to that' })
      this.run(10)
    }
  }

  get leader(): Server | undefined {
    const leaders = [...this.servers.values()].filter(({ up, role }) => up && role === 'leader')
    return leaders.sort((a, b) => b.raft.state.term - a.raft.state.term)[0]
  }

  /** Until one leads that all the others follow. */
  elect(): Server {
    this.runUntil(() => {
      const { leader } = this
      return (
        leader !== undefined &&
        leader.raft.role.type === 'leader' &&
        leader.raft.commit >= leader.raft.role.noop &&
        [...this.servers.values()].every(
          ({ up, raft: { leader: followed, state } }) => !up || state.genesis === '' || followed?.id === leader.id,
        )
      )
    })
    return this.leader!
  }

  /** Nothing passes between the groups, either way. */
  partition(...groups: readonly (readonly NodeId[])[]): void {
    this.filter = (from, to) => groups.some((group) => group.includes(from) && group.includes(to))
    this.packets = this.packets.filter(({ from, outgoing }) => this.filter(from, outgoing.to, outgoing.message))
  }

  heal(): void {
    this.filter = () => true
  }
}
