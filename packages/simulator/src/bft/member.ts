import {
  compareRank,
  decodeMessage,
  decodeRequest,
  type Entry,
  encodeMessage,
  type Members,
  type Message,
  meet,
  nextMembers,
  open,
  type Request,
  readEntry,
  type Server,
  type ServerAsk,
  type ServerEvent,
  type Settings,
  span,
} from '@raftkit/bft'
import { Reader, readRecord, recordEnd, recordKind } from '@raftkit/bytes'
import { behaviours, type FaultName, Liar, type Said, smallMutations } from '@raftkit/byzantine'
import { type Answer, isRaftkitError, type LogWrite, type NodeId } from '@raftkit/contract'
import type { Random } from '../random.ts'
import { Violation } from '../watcher.ts'
import { Application, nameOf, type Reply } from './application.ts'
import type { Durable } from './era.ts'
import { sha256 } from './notary.ts'
import type { LiarPlan } from './plan.ts'
import type { Seat } from './seats.ts'
import type { BftWorld } from './world.ts'

/** What is on a disk, and what the member had promised when that was written. */
interface Disk {
  state: Uint8Array | undefined
  /** The number of the first line that is there. */
  first: number
  lines: Uint8Array
  count: number
  /** Complete or not. */
  readonly blobs: Map<string, Uint8Array>
  readonly holds: Set<string>
  promised: Durable
}

const emptyDisk = (): Disk => ({
  state: undefined,
  first: 1,
  lines: new Uint8Array(0),
  count: 0,
  blobs: new Map(),
  holds: new Set(),
  promised: { epoch: 0, term: 0, lock: undefined },
})

/** Words of a liar in one of these spans of time: two liars that answer each other's forgeries would go on faster and faster. */
const spanMs = 100
const mostWords = 5000

/** One member as it runs: its server, disk, clock, and what makes it lie. It may be one yet to come, or one that has left. */
export class Member {
  readonly world: BftWorld
  readonly seat: number
  readonly id: NodeId
  readonly key: Uint8Array
  readonly plan: LiarPlan | undefined
  /** Of two with one key: which. */
  readonly copy: number
  readonly random: Random
  readonly settings: Settings
  server: Server
  application: Application = new Application()
  disk: Disk = emptyDisk()
  /** As its disk was a while ago. */
  #yesterday: Disk | undefined
  /** Odd: it is down. What an earlier life began comes to nothing. */
  life = 0
  /** It found that a committed entry is contradicted, and does nothing any more. */
  halted: unknown
  /** What it saw of a fork, by member. */
  readonly dumps: Map<NodeId, Uint8Array> = new Map()
  frozen = 0
  /** Its machine is gone: it never comes back. */
  isScrapped = false
  #ahead = 0
  #durable = 0
  #flushed = 0
  #alarm: number | undefined
  /** Positions at which the machine is to be written down, and for which ask. */
  readonly #stops: Map<number, number> = new Map()
  #held: { readonly to: NodeId; readonly message: Message; readonly after: number }[] = []
  #known: readonly Members[] = []
  readonly #liar: Liar | undefined
  /** What it said as a liar in the span of now. */
  #words = { span: 0, count: 0 }

  constructor(world: BftWorld, { number, id, key, plan }: Seat, settings: Settings, copy = 0) {
    this.world = world
    this.seat = number
    this.id = id
    this.key = key
    this.plan = plan
    this.copy = copy
    this.settings = settings
    this.random = world.random.split(`member ${number} ${copy}`)
    this.server = open(settings, undefined, { first: 1, bytes: new Uint8Array(0), count: 0 }, world.now)
    const acts =
      plan?.how === 'mutations'
        ? [smallMutations(0.4)]
        : plan?.how === 'acts'
          ? plan.acts.flatMap((name) => behaviours[name] ?? [])
          : []
    this.#liar = acts.length === 0 ? undefined : new Liar(this.#host(), acts)
  }

  get isHonest(): boolean {
    return this.plan === undefined
  }

  get isUp(): boolean {
    return this.life % 2 === 0 && this.halted === undefined
  }

  /** Its own clock; it never goes back. */
  get now(): number {
    return this.world.now + this.#ahead
  }

  jump(ahead: number): void {
    this.#ahead += ahead
    this.#alarm = undefined
    this.#later(0, () => this.step({ type: 'time' }))
  }

  hear(from: NodeId, bytes: Uint8Array): void {
    let message: Message | undefined
    try {
      message = decodeMessage(bytes)
    } catch (error) {
      if (!isRaftkitError(error)) throw new Violation('F42', `${this.id} stumbles over bytes`, error)
      this.world.count('malformed messages')
      return
    }
    const heard = this.#liar ? this.#liar.hears(from, message) : message
    if (heard !== undefined) this.step({ type: 'message', from, message: heard })
  }

  request(bytes: Uint8Array): void {
    if (this.server.me < 0) return
    if (this.#liar && !this.#liar.takes(bytes)) return
    const known = this.application.replies.get(nameOfBytes(bytes))
    if (known !== undefined) return this.#reply(decodeRequest(bytes), known)
    this.step({ type: 'request', request: bytes, time: Math.max(0, Math.floor(this.now + this.world.epoch)) })
  }

  /** The deadline passed, or it was started again. */
  step(event: ServerEvent): void {
    if (!this.isUp) return
    const { world, server } = this
    if (world.now < this.frozen) return world.at(this.frozen, () => this.step(event), this)
    world.stepped(this, event)
    const before = server.ballot
    const { epoch } = server.members
    try {
      server.step(event, this.now)
    } catch (error) {
      this.#stop(error)
      return
    }
    if (this.isHonest && server.members.epoch < epoch)
      throw new Violation('I16', `${this.id} falls back to an older epoch`)
    if (this.isHonest && server.members.epoch === epoch && compareRank(server.ballot.lock, before.lock) < 0)
      throw new Violation('I4', `${this.id} falls back to a lower lock`)
    this.#take()
  }

  /** As the runtime does with each new link: who is behind is told so. */
  greet(peers: Iterable<NodeId>): void {
    if (!this.isUp || this.server.members.operators === undefined) return
    this.server.now = this.now
    for (const id of peers) if (id !== this.id) meet(this.server, id)
    this.step({ type: 'time' })
  }

  #take(): void {
    const { world, server } = this
    let effects: ReturnType<Server['take']>
    try {
      effects = server.take(this.now)
    } catch (error) {
      return this.#stop(error)
    }
    const { write, messages, asks, committed, happened, deadline } = effects
    this.#held.push(...messages)
    if (write) {
      const promised = this.#promised
      this.#flushed = Math.max(this.#flushed, world.now + this.random.between(0.5, 4))
      this.#later(this.#flushed - world.now, () => {
        this.#flush(write.change, promised)
        this.#durable = write.id
        if (world.crashes(this, 'flushed')) return
        this.#release()
        this.step({ type: 'durable', write: write.id })
      })
      if (world.crashes(this, 'written')) return
    }
    for (const happening of happened)
      if (happening.type === 'accused') world.accused(this, happening)
      else if (happening.type === 'forked') world.forked(this, happening.from, happening.dump)
      else world.entered(this)
    for (const ask of asks) if (ask.type === 'takeSnapshot') this.#stops.set(ask.index, ask.id)
    for (const entry of committed) this.#apply(entry)
    this.#release()
    for (const ask of asks) {
      const answer = ask.type === 'sign' || ask.type === 'verify' ? undefined : this.#carryOut(ask)
      this.#later(this.random.between(0.05, 1), () => {
        if (ask.type === 'sign')
          this.step({ type: 'signed', ask: ask.id, signature: world.notary.sign(this.key, ask.bytes) })
        else if (ask.type === 'verify')
          this.step({ type: 'verified', ask: ask.id, valid: ask.checks.map(world.notary.isSigned) })
        else if (answer) this.step({ type: 'answered', ask: ask.id, answer })
      })
    }
    if (deadline !== undefined && deadline !== this.#alarm)
      this.#later(Math.max(0, deadline - this.now), () => {
        if (this.#alarm !== deadline) return
        this.#alarm = undefined
        this.step({ type: 'time' })
      })
    this.#alarm = deadline
  }

  get #promised(): Durable {
    const { ballot, members } = this.server
    return { epoch: members.epoch, term: ballot.term, lock: ballot.lock }
  }

  #apply(entry: Entry): void {
    if (this.isHonest) this.world.witness.applied(this.id, entry, this.application.applied)
    for (const request of this.application.apply(entry))
      this.#reply(request, this.application.replies.get(nameOf(request))!)
    if (this.isHonest) this.world.witness.reached(this.id, entry.header.index, this.application.state)
    this.#snapshot(entry)
  }

  /** The machine's state as blobs. `takeSnapshot` was carried out where it was reached: its answer comes from there. */
  #carryOut(ask: Exclude<ServerAsk, { type: 'sign' | 'verify' }>): Answer | undefined {
    const { blobs } = this.disk
    switch (ask.type) {
      case 'readSnapshot': {
        const blob = blobs.get(ask.name)
        if (!blob) return { type: 'failed', code: 'MISSING' }
        return { type: 'readSnapshot', bytes: blob.subarray(ask.offset, ask.offset + ask.maxBytes) }
      }
      case 'createSnapshot':
        if (!blobs.has(ask.name)) blobs.set(ask.name, new Uint8Array(0))
        return { type: 'createSnapshot', held: blobs.get(ask.name)!.length }
      case 'writeSnapshot':
        blobs.set(ask.name, Buffer.concat([blobs.get(ask.name)!, ask.bytes]))
        return { type: 'writeSnapshot', held: blobs.get(ask.name)!.length }
      case 'commitSnapshot':
        return { type: 'commitSnapshot' }
      case 'restore':
        this.application = Application.read(blobs.get(ask.snapshot.name)!)
        this.world.count('states fetched')
        if (this.isHonest) this.world.witness.reached(this.id, this.application.applied, this.application.state)
        return { type: 'restore' }
      case 'retain':
        for (const name of blobs.keys()) if (!ask.names.includes(name)) blobs.delete(name)
        return undefined
      default:
        return undefined
    }
  }

  #snapshot(entry: Entry): void {
    const index = entry.header.position + span(entry)
    const ask = this.#stops.get(index)
    if (ask === undefined) return
    this.#stops.delete(index)
    const { term } = entry.header
    const name = `${index}-${term}-own-${this.life}`
    const blob = this.application.write()
    if (this.plan?.how === 'twist') {
      blob[0] = blob[0]! ^ 1
      this.world.did('F41')
    }
    this.disk.blobs.set(name, blob)
    const snapshot = { name, index, term, bytes: blob.length }
    this.#later(this.random.between(0.1, 20), () =>
      this.step({ type: 'answered', ask, answer: { type: 'takeSnapshot', snapshot } }),
    )
  }

  #reply(request: Request, { index, result }: Reply): void {
    const told = this.#liar ? this.#liar.replies(result) : result
    this.world.reply(this, request, { index, result: told })
  }

  #flush({ tail, state, compactTo }: LogWrite, promised: Disk['promised']): void {
    const { disk } = this
    if (this.plan?.how === 'rollback' && this.random.chance(0.02))
      this.#yesterday = { ...disk, blobs: new Map(disk.blobs), holds: new Set(disk.holds) }
    if (state) disk.state = state
    disk.promised = promised
    if (tail) this.#append(tail)
    for (; disk.first <= (compactTo ?? 0); disk.first++, disk.count--)
      disk.lines = disk.lines.subarray(recordEnd(disk.lines, 0))
  }

  #append({ at, run }: NonNullable<LogWrite['tail']>): void {
    const { disk } = this
    if (run.count === 0) return
    if (at !== disk.first + disk.count)
      throw new Violation('disk', `${this.id} writes line ${at} behind ${disk.first + disk.count - 1}`)
    disk.lines = Buffer.concat([disk.lines, run.bytes])
    disk.count += run.count
    for (let from = 0; from < run.bytes.length; from = recordEnd(run.bytes, from)) {
      const { kind, payload } = readRecord(run.bytes, from)
      if (kind === recordKind.command) disk.holds.add(this.world.witness.learn(readEntry(new Reader(payload))))
    }
  }

  /** Everything that is not on its disk is gone. */
  crash(pause: number): void {
    if (this.life % 2 === 1) return
    this.life++
    this.#held = []
    this.#stops.clear()
    this.#alarm = undefined
    this.world.at(this.world.now + pause, () => this.start())
  }

  start(): void {
    if (this.life % 2 === 0 || this.isScrapped) return
    if (this.plan?.how === 'rollback' && this.#yesterday) {
      this.disk = this.#yesterday
      this.#yesterday = undefined
      this.world.did('F44')
    }
    this.life++
    this.#durable = 0
    this.#flushed = this.world.now
    this.application = new Application()
    const { state, first, lines, count, promised, blobs } = this.disk
    this.server = open(this.settings, state, { first, bytes: lines, count }, this.now)
    const { stable } = this.server
    if (stable) this.application = Application.read(blobs.get(stable.snapshot.name)!)
    const { epoch, term, lock } = this.#promised
    if (this.isHonest && (epoch < promised.epoch || (epoch === promised.epoch && term < promised.term)))
      throw new Violation('I4', `${this.id} comes back in an older epoch or term`)
    if (this.isHonest && epoch === promised.epoch && compareRank(lock, promised.lock) < 0)
      throw new Violation('I4', `${this.id} comes back with a lower lock`)
    this.world.entered(this)
    this.step({ type: 'time' })
    this.world.linked(this)
  }

  #stop(error: unknown): void {
    if (!isRaftkitError(error, 'DIVERGED')) throw new Violation('step', `${this.id}: ${String(error)}`, error)
    this.halted = error
    this.world.halted(this)
  }

  #release(): void {
    const ready = this.#held.filter(({ after }) => after <= this.#durable)
    if (ready.length === 0) return
    this.#held = this.#held.filter(({ after }) => after > this.#durable)
    for (const { to, message } of ready) {
      if (this.#liar) {
        this.#liar.says(to, message)
        continue
      }
      this.#judge(message)
      this.world.send(this, to, message)
    }
  }

  #judge(message: Message): void {
    const { world, server, id, key, seat } = this
    world.witness.saw(message)
    if (!this.isHonest) return
    world.witness.said(seat, { id, key }, message, this.disk.promised)
    const isVote = message.type === 'vote' && message.phase === 'append'
    if (isVote && server.members.epoch === message.epoch && server.ballot.term === message.place.term)
      world.witness.stands(seat, id, message.epoch, message.place, server.anchorPlace?.hash)
  }

  #host() {
    const { world, id, key, random } = this
    const epochs = (): readonly Members[] => this.#epochs()
    return {
      get epochs() {
        return epochs()
      },
      digest: sha256,
      self: id,
      key,
      knowledge: world.knowledge,
      timeout: world.timeout,
      random: () => random.next(),
      sign: (bytes: Uint8Array, then: (signature: Uint8Array) => void) => then(world.notary.sign(key, bytes)),
      send: (to: NodeId, said: Said) => {
        if (!this.#mayLie()) return
        if (!(said instanceof Uint8Array)) world.witness.saw(said)
        world.send(this, to, said)
      },
      later: (delay: number, run: () => void) => this.#later(delay, run),
      did: (fault: FaultName, isLive?: true) => world.did(fault, isLive),
    }
  }

  #mayLie(): boolean {
    const span = Math.floor(this.world.now / spanMs)
    if (span !== this.#words.span) this.#words = { span, count: 0 }
    return ++this.#words.count <= mostWords
  }

  /** That it came through, worked out once for each. */
  #epochs(): readonly Members[] {
    const { epochs, members } = this.server
    if (this.#known.at(-1)?.domain === members.domain) return this.#known
    const known = [this.settings.members]
    for (const { entry } of epochs) known.push(nextMembers(sha256, known.at(-1)!, entry))
    this.#known = known
    return this.#known
  }

  /** Comes to nothing if it crashes before. */
  #later(delay: number, run: () => void): void {
    const { life } = this
    this.world.at(this.world.now + delay, () => {
      if (this.life === life && this.isUp) run()
    })
  }
}

function nameOfBytes(bytes: Uint8Array): string {
  try {
    return nameOf(decodeRequest(bytes))
  } catch {
    return ''
  }
}

export const asBytes = (said: Said): Uint8Array => (said instanceof Uint8Array ? said : encodeMessage(said))
