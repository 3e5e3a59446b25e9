import { fromHex, recordEnd, toHex } from '@raftkit/bytes'
import type { Answer } from '@raftkit/contract'
import {
  type Check,
  configurationStatement,
  decodeEvidence,
  decodeMessage,
  decodeRequest,
  type Entry,
  encodeConfiguration,
  encodeMessage,
  encodeRequest,
  headerHash,
  judge,
  type Lie,
  Members,
  type Message,
  type Operators,
  open,
  type Request,
  requestCheck,
  Server,
  type ServerAsk,
  type ServerEvent,
  span,
  stands,
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
/** As a member that lies would sign. */
export const sealAs = (id: string, bytes: Uint8Array): Uint8Array => seal(keyOf(id), bytes)
export const isSealed = ({ key, bytes, signature }: Check): boolean => Buffer.compare(seal(key, bytes), signature) === 0

const keyOf = (name: string): Uint8Array => sha256(new TextEncoder().encode(name))

/** Any two of three may change the members. */
export const operators: Operators = { keys: ['o0', 'o1', 'o2'].map(keyOf), threshold: 2 }

export type Fault = (message: Message, to: string, world: World) => Message | readonly Message[] | undefined

interface Disk {
  state: Uint8Array | undefined
  /** Of the lines that are there. */
  first: number
  lines: Uint8Array
  count: number
  /** Complete or not. */
  readonly blobs: Map<string, Uint8Array>
}

interface Machine {
  readonly id: string
  server: Server
  /** Rises with every crash: what an earlier life began comes to nothing. */
  life: number
  readonly disk: Disk
  readonly isHonest: boolean
  readonly fault: Fault
  /** What it saw of a fork, by member. */
  readonly dumps: Map<string, Uint8Array>
  log: Entry[]
  durable: number
  /** Its disk takes writes and never ends them. */
  isStuck: boolean
  /** When the last write issued will be durable: writes end in order. */
  flushed: number
  held: { to: string; message: Message; after: number }[]
  alarm: number | undefined
}

interface Happening {
  readonly at: number
  readonly order: number
  readonly run: () => unknown
}

const requestsOf = ({ log }: Machine): Uint8Array[] =>
  log.flatMap(({ header, items }) => (header.kind === 'data' ? items : []))

const writeLog = (log: readonly Entry[]): Uint8Array =>
  new TextEncoder().encode(JSON.stringify(log.map(({ header, items }) => ({ header, items: items.map(toHex) }))))

const readLog = (blob: Uint8Array): Entry[] =>
  (JSON.parse(new TextDecoder().decode(blob)) as { header: Entry['header']; items: string[] }[]).map(
    ({ header, items }) => ({ header, items: items.map(fromHex) }),
  )

/** What the network does to a message until it heals. */
export interface Weather {
  readonly drop: number
  readonly twice: number
  readonly delay: number
  /** Pairs that hear nothing of each other. */
  readonly cut: (from: string, to: string, now: number, message: Message) => boolean
}

export const fair: Weather = { drop: 0, twice: 0, delay: 5, cut: () => false }

/** Members in virtual time, over a network and disks that a seed decides. Every message crosses the wire as bytes. */
export class World {
  readonly members: Members
  /** Those that honest members came through. */
  readonly epochs: Members[]
  readonly machines: Machine[] = []
  readonly random: () => number
  weather: Weather = fair
  checkpointEntries = 0
  clockSkew: number = Number.POSITIVE_INFINITY
  /** What a machine that does not do the same as the others writes down. */
  twist: (id: string, blob: Uint8Array) => Uint8Array = (_, blob) => blob
  /** Lives that hear nothing of each other. */
  apart: (from: Machine, to: Machine) => boolean = () => false
  /** More than f lie: the honest may differ. */
  isForked = false
  now = 0
  /** Places for which a Byzantine member was seen to vote for different entries. */
  lies = 0
  /** Lies that honest members proved, by liar. */
  readonly accused: Map<string, Set<Lie>> = new Map()
  readonly #agreed: string[] = []
  readonly #votes: Map<string, string> = new Map()
  readonly #left: Map<string, number> = new Map()
  #order = 0
  #queue: Happening[] = []

  constructor(n: number, seed: number) {
    this.random = mulberry(seed)
    const list = Array.from({ length: n }, (_, i) => ({ id: `m${i}`, key: keyOf(`m${i}`) }))
    const genesis = { index: 0, hash: headerHash(sha256, founding.header) }
    this.members = new Members(sha256, 0, list, genesis, operators)
    this.epochs = [this.members]
  }

  /** `fault`: what a Byzantine one does to each message that it would send; an id may be started twice (Twins). */
  start(id: string, fault?: Fault): Machine {
    const server = new Server(this.#settings(id), this.now)
    const isHonest = fault === undefined
    const machine: Machine = {
      id,
      server,
      life: 0,
      disk: { state: undefined, first: 1, lines: new Uint8Array(0), count: 0, blobs: new Map() },
      isHonest,
      fault: fault ?? ((m) => m),
      dumps: new Map(),
      log: [],
      durable: 0,
      isStuck: false,
      flushed: 0,
      held: [],
      alarm: undefined,
    }
    this.machines.push(machine)
    return machine
  }

  /** Follows from the founders on, until a configuration names it. */
  join(id: string): Machine {
    const machine = this.start(id)
    this.#step(machine, { type: 'time' })
    return machine
  }

  /** Operators replace who votes. */
  configure(ids: readonly string[], to: Machine, by: readonly number[] = [0, 1]): void {
    const members = [...ids].sort().map((id) => ({ id, key: keyOf(id) }))
    const { epoch, domain } = to.server.members
    const configuration = { epoch, members, operators }
    const bytes = configurationStatement(sha256, domain, configuration)
    const approvals = by.map((operator) => ({ operator, signature: seal(operators.keys[operator]!, bytes) }))
    this.#step(to, { type: 'configure', item: encodeConfiguration(configuration, approvals) })
  }

  /** Everything that is not on the disk is lost; it comes back after a while. */
  crash(machine: Machine, pause: number): void {
    if (machine.life % 2 === 1) return
    machine.life++
    machine.held = []
    machine.log = []
    machine.alarm = undefined
    const { life } = machine
    this.#queue.push({
      at: this.now + pause,
      order: this.#order++,
      run: () => {
        if (machine.life !== life) return
        const { state, first, lines, count, blobs } = machine.disk
        machine.durable = 0
        machine.server = open(this.#settings(machine.id), state, { first, bytes: lines, count }, this.now)
        const { stable } = machine.server
        if (stable) machine.log = readLog(blobs.get(stable.snapshot.name)!)
        machine.life++
        this.#step(machine, { type: 'time' })
      },
    })
  }

  #settings(id: string): ConstructorParameters<typeof Server>[0] {
    return {
      ...{ digest: sha256, self: id, members: this.members, founding, group: 'main' },
      ...{ timeout: 200, longestTimeout: 5000, resend: 60, window: 4, batchBytes: 2000 },
      ...{ checkpointEntries: this.checkpointEntries, clockSkew: this.clockSkew },
      ...(this.members.signer(id) === undefined ? { joins: true as const } : {}),
    }
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
        this.#later(machine, 1 + this.random() * 5, () =>
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

  /** As if it had come over the wire. */
  hand(machine: Machine, from: string, message: Message): void {
    this.#step(machine, { type: 'message', from, message })
  }

  executed(machine: Machine): string[] {
    return requestsOf(machine)
      .flatMap((item) => decodeRequest(item).operations)
      .map((operation) => new TextDecoder().decode(operation))
  }

  hashOf({ header }: Entry): string {
    return headerHash(sha256, header)
  }

  /** Of all that honest members executed: nothing twice (I13), nothing that nobody signed (I15). */
  check(): void {
    for (const machine of this.honest) {
      for (const item of requestsOf(machine))
        if (!isSealed(requestCheck(sha256, this.members.genesis.hash, decodeRequest(item))))
          throw new Error(`${machine.id} executed what nobody signed`)
      const executed = this.executed(machine)
      if (new Set(executed).size < executed.length) throw new Error(`${machine.id} executed something twice`)
    }
  }

  /** Comes to nothing if the machine crashes before, or is down. */
  #later(machine: Machine, delay: number, run: () => void): void {
    const { life } = machine
    const alive = (): boolean => machine.life === life && life % 2 === 0
    this.#queue.push({ at: this.now + delay, order: this.#order++, run: () => alive() && run() })
  }

  #step(machine: Machine, event: ServerEvent): void {
    const { server } = machine
    server.step(event, this.now)
    const { write, messages, asks, committed, happened, deadline } = server.take(this.now)
    for (const happening of happened)
      if (happening.type === 'accused') this.#hear(machine, happening)
      else if (happening.type === 'forked') machine.dumps.set(happening.from, happening.dump)
      else if (machine.isHonest) this.epochs[happening.epoch] ??= server.members
    machine.log.push(...committed)
    machine.held.push(...messages)
    if (write && !machine.isStuck) {
      machine.flushed = Math.max(machine.flushed, this.now + 1 + this.random() * 4)
      this.#later(machine, machine.flushed - this.now, () => {
        const { disk } = machine
        disk.state = write.change.state
        const { run } = write.change.tail ?? {}
        if (run) {
          if (write.change.tail?.at !== disk.first + disk.count)
            throw new Error(`${machine.id} leaves a gap in its journal`)
          disk.lines = new Uint8Array([...disk.lines, ...run.bytes])
          disk.count += run.count
        }
        for (; disk.first <= (write.change.compactTo ?? 0); disk.first++, disk.count--)
          disk.lines = disk.lines.subarray(recordEnd(disk.lines, 0))
        machine.durable = Math.max(machine.durable, write.id)
        this.#release(machine)
        this.#step(machine, { type: 'durable', write: write.id })
      })
    }
    this.#release(machine)
    for (const ask of asks) {
      const answer = ask.type === 'sign' || ask.type === 'verify' ? undefined : this.#carryOut(machine, ask)
      this.#later(machine, this.random(), () => {
        if (ask.type === 'verify')
          this.#step(machine, { type: 'verified', ask: ask.id, valid: ask.checks.map(isSealed) })
        else if (ask.type === 'sign')
          this.#step(machine, { type: 'signed', ask: ask.id, signature: seal(keyOf(machine.id), ask.bytes) })
        else if (answer) this.#step(machine, { type: 'answered', ask: ask.id, answer })
      })
    }
    const isSet = machine.alarm === deadline
    machine.alarm = deadline
    if (deadline !== undefined && !isSet)
      this.#later(machine, Math.max(0, deadline - this.now), () => {
        if (machine.alarm !== deadline) return
        machine.alarm = undefined
        this.#step(machine, { type: 'time' })
      })
    if (machine.isHonest) this.#agree(machine, committed)
  }

  /** The machine is its log; a blob is what it wrote down of it. */
  #carryOut(machine: Machine, ask: Exclude<ServerAsk, { type: 'sign' | 'verify' }>): Answer | undefined {
    const { blobs } = machine.disk
    switch (ask.type) {
      case 'takeSnapshot': {
        const at = machine.log.findIndex((entry) => entry.header.position + span(entry) === ask.index)
        if (at < 0) throw new Error(`${machine.id} is not at ${ask.index}`)
        const { term } = machine.log[at]!.header
        const name = `${ask.index}-${term}-own-${this.#order}`
        const blob = this.twist(machine.id, writeLog(machine.log.slice(0, at + 1)))
        blobs.set(name, blob)
        return { type: 'takeSnapshot', snapshot: { name, index: ask.index, term, bytes: blob.length } }
      }
      case 'readSnapshot': {
        const blob = blobs.get(ask.name)
        if (!blob) return { type: 'failed', code: 'MISSING' }
        return { type: 'readSnapshot', bytes: blob.subarray(ask.offset, ask.offset + ask.maxBytes) }
      }
      case 'createSnapshot':
        if (!blobs.has(ask.name)) blobs.set(ask.name, new Uint8Array(0))
        return { type: 'createSnapshot', held: blobs.get(ask.name)!.length }
      case 'writeSnapshot':
        blobs.set(ask.name, new Uint8Array([...blobs.get(ask.name)!, ...ask.bytes]))
        return { type: 'writeSnapshot', held: blobs.get(ask.name)!.length }
      case 'commitSnapshot':
        return { type: 'commitSnapshot' }
      case 'restore':
        machine.log = readLog(blobs.get(ask.snapshot.name)!)
        return { type: 'restore' }
      case 'retain':
        for (const name of blobs.keys()) if (!ask.names.includes(name)) blobs.delete(name)
        return undefined
    }
  }

  #release(machine: Machine): void {
    const ready = machine.held.filter(({ after }) => after <= machine.durable)
    machine.held = machine.held.filter(({ after }) => after > machine.durable)
    for (const { to, message } of ready) {
      const said = machine.fault(message, to, this) ?? []
      for (const one of Array.isArray(said) ? (said as readonly Message[]) : [said as Message]) {
        this.#judge(machine, one)
        this.#carry(machine, to, one)
      }
    }
  }

  /** I18: whatever anybody accuses anyone of stands for whoever has nothing but the keys, and names no honest member. */
  #hear({ id, isHonest }: Machine, { who, lie, evidence }: { who: string; lie: Lie; evidence: Uint8Array }): void {
    if (!isHonest) return
    const proof = decodeEvidence(evidence)
    const members = proof.type === 'reuse' ? this.members : this.epochs[proof.epoch]!
    const found = judge(sha256, members, this.members.genesis.hash, proof)
    const flags = found && [...found.valid, ...found.invalid].map(isSealed)
    if (!found || !stands(found, flags!) || found.who !== who) throw new Error(`${id} cannot prove ${lie} of ${who}`)
    if (this.honest.some((one) => one.id === who)) throw new Error(`${id} frames ${who}: ${found.what}`)
    this.accused.set(who, new Set([...(this.accused.get(who) ?? []), lie]))
  }

  /** I9, I10: whoever is first decides what the others must apply there. */
  #agree({ id, log }: Machine, committed: readonly Entry[]): void {
    for (const [at, { header }] of committed.entries()) {
      const index = log.length - committed.length + at + 1
      if (header.index !== index) throw new Error(`${id} applied ${header.index} at ${index}`)
      const hash = headerHash(sha256, header)
      this.#agreed[index] ??= hash
      if (this.#agreed[index] !== hash && !this.isForked) throw new Error(`${id} differs at ${index}`)
    }
  }

  /** I1, I6: what is signed twice says the same, and nothing for a term that was given up. */
  #judge({ id, isHonest, server }: Machine, message: Message): void {
    const epoch = 'epoch' in message ? message.epoch : 0
    const name = `${id} of epoch ${epoch}`
    if (message.type === 'requestVote') this.#left.set(name, Math.max(message.term, this.#left.get(name) ?? 0))
    const tip = message.type === 'appendEntries' ? message.entries.at(-1)!.header : undefined
    const vote =
      message.type === 'vote'
        ? { phase: message.phase, ...message.place }
        : tip && message.type === 'appendEntries'
          ? { phase: 'append', term: message.term, index: tip.index, hash: headerHash(sha256, tip) }
          : undefined
    if (vote === undefined) return
    // I16: nobody votes in an epoch that it is not of, nor for what follows its end.
    const end = this.epochs[epoch + 1]?.genesis.hash
    const isBehind = end !== undefined && end !== vote.hash && server.tree.holds(end, vote.hash)
    const isBefore = !this.isForked && vote.index <= (this.epochs[epoch]?.genesis.index ?? 0)
    if (isHonest && (isBehind || isBefore || this.epochs[epoch]?.signer(id) === undefined))
      throw new Error(`${id} votes at ${vote.index} in epoch ${epoch}, which had ended or not begun`)
    const key = `${name} ${vote.phase} ${vote.term} ${vote.index}`
    const isDouble = (this.#votes.get(key) ?? vote.hash) !== vote.hash
    this.#votes.set(key, vote.hash)
    if (isDouble && isHonest) throw new Error(`${id} votes for two entries in ${key}`)
    if (isDouble) this.lies++
    if (isHonest && vote.term < (this.#left.get(name) ?? 0)) throw new Error(`${id} votes in ${key}, which it gave up`)
  }

  #carry(from: Machine, to: string, message: Message): void {
    const bytes = encodeMessage(message)
    const { drop, twice, delay, cut } = this.weather
    if (cut(from.id, to, this.now, message) || this.random() < drop) return
    const copies = this.random() < twice ? 2 : 1
    for (let copy = 0; copy < copies; copy++)
      for (const machine of this.machines)
        if (machine.id === to && machine !== from && !this.apart(from, machine))
          this.#later(machine, 1 + this.random() * delay, () =>
            this.#step(machine, { type: 'message', from: from.id, message: decodeMessage(bytes) }),
          )
  }
}

/** All members started; `byzantine`: what those at the same places do. */
export function founded(
  n: number,
  seed: number,
  byzantine: (Fault | undefined)[] = [],
  checkpointEntries: number = 0,
): World {
  const world = new World(n, seed)
  world.checkpointEntries = checkpointEntries
  for (let i = 0; i < n; i++) world.start(`m${i}`, byzantine[i])
  return world
}

/** Requests of two clients, all of which must have been executed by all honest members. */
export function submitted(world: World, from: number, count: number): string[] {
  const words: string[] = []
  for (let seq = from; seq < from + count; seq++) {
    for (const client of ['alice', 'bob']) {
      world.submit(world.request(client, seq))
      words.push(`${client} ${seq}`)
    }
  }
  return words
}
