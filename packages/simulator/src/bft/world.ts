import {
  type Check,
  decodeEvidence,
  type Entry,
  headerHash,
  judge,
  Members,
  type Message,
  type Request,
  type ServerEvent,
  type Settings,
  stands,
  type Verdict,
} from '@raftkit/bft'
import { toHex } from '@raftkit/bytes'
import { type FaultName, Knowledge, type Said } from '@raftkit/byzantine'
import type { NodeId } from '@raftkit/contract'
import { Random } from '../random.ts'
import { Violation } from '../watcher.ts'
import { Agenda } from './agenda.ts'
import type { Reply } from './application.ts'
import { Client, mallory } from './clients.ts'
import { Changes } from './epochs.ts'
import { asBytes, Member } from './member.ts'
import { BftNetwork } from './network.ts'
import { Notary, sha256 } from './notary.ts'
import type { BftPlan, LiarPlan } from './plan.ts'
import type { Seat } from './seats.ts'
import { Witness } from './witness.ts'

const zeros = '00'.repeat(32)

const founding: Entry = {
  header: { epoch: 0, index: 0, term: 0, kind: 'config', parent: zeros, root: zeros, position: 0, time: 0 },
  items: [],
}

/** Members in virtual time, over a network, disks and clocks that a seed decides; some of them lie. Every message crosses the wire as bytes. */
export class BftWorld {
  readonly plan: BftPlan
  readonly random: Random
  readonly notary: Notary = new Notary()
  /** The founders. */
  readonly members: Members
  /** All who are members at some time, by number. */
  readonly seats: Seat[] = []
  readonly witness: Witness
  readonly changes: Changes
  readonly knowledge: Knowledge = new Knowledge(sha256)
  readonly network: BftNetwork
  readonly running: Member[] = []
  readonly honest: Member[] = []
  readonly clients: Client[] = []
  readonly timeout: number = 200
  readonly longestTimeout: number = 3200
  readonly epoch: number = 1_700_000_000_000
  readonly faults: Map<FaultName, number> = new Map()
  readonly counts: Map<string, number> = new Map()
  /** Members against whom an honest one holds evidence. */
  readonly culprits: Set<NodeId> = new Set()
  now = 0
  events = 0
  isHealed = false
  #hash = 0x811c9dc5
  readonly #agenda: Agenda = new Agenda()
  /** Crashes still to come, at moments that are chosen for their danger. */
  #dangers: number
  /** Twins: which members the second copy sees. */
  #sides: ReadonlySet<number> = new Set()
  readonly #spoke: Set<string> = new Set()

  constructor(plan: BftPlan) {
    this.plan = plan
    this.random = new Random(plan.seed).split('bft')
    this.network = new BftNetwork(plan, this.random.split('network'), () => this.seats.length)
    this.#dangers = Math.ceil(plan.crashes / 2)
    for (let number = 0; number < plan.members; number++) {
      const id = `m${String(number).padStart(2, '0')}`
      const lies = plan.liars.find(({ seat }) => seat === number)
      this.seats.push({ number, id, key: this.notary.register(`m${number}`), plan: lies })
    }
    this.changes = new Changes(this, plan.changes)
    const operators = plan.changes.length > 0 ? this.changes.board.operators : undefined
    const genesis = { index: 0, hash: headerHash(sha256, founding.header) }
    this.members = new Members(sha256, 0, this.seats, genesis, operators)
    this.witness = new Witness({
      members: this.members,
      digest: sha256,
      isLiar: ({ key }) => this.#seatOf(key)?.plan !== undefined,
      isOver: plan.isOver,
      isSigned: (check: Check) => this.notary.isSigned(check),
      keepers: (hash) => this.honest.filter(({ disk }) => disk.holds.has(hash)).length,
    })
    for (const seat of this.seats) this.#run(seat)
    for (let i = 1; i <= plan.clients; i++) this.clients.push(new Client(this, `c${i}`, plan.requests))
  }

  /** A machine, its disk and its key. Without an `id`, under a new one: anywhere in the order of the members. */
  seat(lies: LiarPlan | undefined, id?: NodeId): Seat {
    const { length } = this.seats
    const name = id ?? `${this.random.pick(['a', 'm', 'z'])}${String(length).padStart(2, '0')}`
    const seat = { number: length, id: name, key: this.notary.register(`m${length}`), plan: lies }
    this.seats.push(seat)
    return seat
  }

  #run(seat: Seat): Member[] {
    const copies = seat.plan?.how === 'twins' ? 2 : 1
    const members = Array.from({ length: copies }, (_, copy) => new Member(this, seat, this.#settings(seat), copy))
    this.running.push(...members)
    this.honest.push(...members.filter(({ isHonest }) => isHonest))
    return members
  }

  /** Those of them that do not run are started, and wait to be named. */
  join(seats: Iterable<Seat>): void {
    for (const seat of seats) {
      if (this.running.some((member) => member.seat === seat.number)) continue
      for (const member of this.#run(seat)) {
        member.step({ type: 'time' })
        this.linked(member)
      }
    }
  }

  #seatOf(key: Uint8Array): Seat | undefined {
    return this.seats.find((seat) => Buffer.compare(seat.key, key) === 0)
  }

  /** Who votes in the newest epoch that an honest member has come to. */
  get voters(): readonly Seat[] {
    return this.witness.newest.members.list.map(({ key }) => this.#seatOf(key)!)
  }

  /** Links are made anew: both sides say of which epoch they are. */
  linked(member: Member): void {
    if (this.members.operators === undefined) return
    member.greet(new Set(this.seats.map(({ id }) => id)))
    for (const other of this.running) if (other !== member) other.greet([member.id])
  }

  /** A member is behind the end of one more epoch, or came back. */
  entered(member: Member): void {
    if (!member.isHonest) return
    const { newest } = this.witness
    this.witness.entered(member.id, member.seat, member.server.epochs)
    if (this.witness.newest !== newest) this.changes.entered(this.witness.newest.members)
  }

  configure(item: Uint8Array, seats: Iterable<Seat>): void {
    for (const { number } of seats)
      for (const member of this.running)
        if (member.seat === number)
          this.at(this.now + this.random.between(1, 6), () => {
            if (member.isUp) member.step({ type: 'configure', item })
          })
  }

  /** Switched off, for ever. */
  scrap(seat: number): void {
    for (const member of this.running)
      if (member.seat === seat) {
        member.isScrapped = true
        member.crash(0)
      }
  }

  isolate({ seat }: Member, pause: number): void {
    if (this.network.isSplit) return
    this.network.split([seat])
    this.count('isolations')
    this.at(this.now + pause, () => this.network.split([]))
  }

  #settings({ id: self, key }: Seat): Settings {
    const { timeout, longestTimeout, members, plan } = this
    return {
      ...(members.operators && { key, joins: true as const }),
      ...{ digest: sha256, self, members, founding, group: 'main', timeout, longestTimeout, resend: 60 },
      ...{ window: plan.window, batchBytes: 2000, checkpointEntries: plan.checkpointEntries },
    }
  }

  start(): void {
    const { plan, random } = this
    for (const client of this.clients) this.at(this.now + random.between(0, 30), () => client.next())
    mallory(this, this.clients[0]!.key)
    this.changes.start()
    if (plan.isOver) return this.#splitForGood()
    this.#sides = new Set(this.#half(this.seats.map(({ number }) => number)))
    this.#often(500, () => {
      this.#sides = new Set(this.#half(this.seats.map(({ number }) => number)))
    })
    if (plan.partitions > 0) this.#often(plan.partitions, () => this.#partition())
    const equivocates = plan.liars.some(({ acts }) => acts.includes('F1'))
    for (let i = 0; i < Math.floor(plan.crashes / 2); i++)
      this.#once(() => this.crash(random.pick(this.honest), random.between(5, 600)))
    for (const { seat } of plan.liars.filter(({ how }) => how === 'rollback'))
      for (let i = 0; i < 3; i++)
        this.#once(() => this.running.find((member) => member.seat === seat)!.crash(random.between(10, 300)))
    for (let i = 0; i < plan.freezes; i++)
      this.#once(() => {
        random.pick(this.honest).frozen = this.now + random.between(50, 1500)
        this.did('F45')
      })
    for (let i = 0; i < plan.jumps; i++)
      this.#once(() => {
        random.pick(this.honest).jump(random.between(10, 5000))
        this.did('F45')
      })
    if (equivocates) this.#apart()
  }

  /** The liars are everywhere, each copy on its side; whoever is honest hears one side alone, from the start or once the members are changed. */
  #splitForGood(): void {
    const isFirst = this.plan.changes.every(({ during }) => during === 'partition')
    const voters = this.voters.map(({ number }) => number)
    const honest = this.honest.filter(({ seat }) => voters.includes(seat))
    const { domain } = this.witness.newest.members
    const isOver = this.changes.isDone && honest.every(({ server }) => server.members.domain === domain)
    if (!isFirst && !isOver) return this.at(this.now + 50, () => this.isHealed || this.#splitForGood())
    this.#sides = new Set(this.#half(honest.map(({ seat }) => seat)))
    this.network.split(this.#sides)
  }

  partOf(seat: number): 0 | 1 {
    return this.#sides.has(seat) ? 1 : 0
  }

  /** F2: two halves of the honest see nothing of each other until the term has changed. */
  #apart(): void {
    const honest = this.honest.map(({ seat }) => seat)
    const before = this.faults.get('F1') ?? 0
    this.network.split(this.#half(honest))
    const look = (): void => {
      const changed = this.honest.some(({ server }) => server.ballot.term > 0)
      if (!changed && this.now < 12 * this.timeout && !this.isHealed) return this.at(this.now + this.timeout / 2, look)
      this.network.split([])
      if (changed && (this.faults.get('F1') ?? 0) > before) this.did('F2')
    }
    this.at(this.now + this.timeout, look)
  }

  #partition(): void {
    if (this.network.isSplit) return
    this.network.split(this.#half(this.seats.map(({ number }) => number)))
    this.count('partitions')
    this.at(this.now + this.plan.partitions / 2, () => {
      if (!this.plan.isOver) this.network.split([])
    })
  }

  #half(seats: readonly number[]): number[] {
    return this.random.shuffle(seats).slice(0, Math.floor(seats.length / 2))
  }

  #often(interval: number, run: () => void): void {
    const tick = (): void => {
      if (this.isHealed) return
      run()
      this.at(this.now + this.random.between(0.5, 1.5) * interval, tick)
    }
    this.at(this.now + this.random.between(0, interval), tick)
  }

  #once(run: () => void): void {
    this.at(this.random.between(0, this.plan.lasts), () => {
      if (!this.isHealed) run()
    })
  }

  crash(member: Member, pause: number): void {
    this.did('F44')
    this.count('crashes')
    member.crash(pause)
  }

  /** Between a promise, its write and its word: whether it crashes just now. */
  crashes(member: Member, moment: 'written' | 'flushed'): boolean {
    if (this.#dangers === 0 || this.isHealed || !member.isHonest || !this.random.chance(0.01)) return false
    this.#dangers--
    this.count(`crashes when ${moment}`)
    this.crash(member, this.random.between(5, 600))
    return true
  }

  heal(): void {
    this.isHealed = true
    this.network.isHealed = true
    this.network.split([])
    for (const member of this.running) {
      member.frozen = 0
      member.start()
    }
    for (const member of this.running) this.linked(member)
    for (const client of this.clients) client.serve(2)
  }

  at(time: number, run: () => void, _for?: Member): void {
    this.#agenda.put(Math.max(time, this.now), run)
  }

  /** Until `when`, or virtual time `until`. Whether `when` came true. */
  run(until: number, when: () => boolean): boolean {
    while (this.#agenda.next <= until) {
      if (when()) return true
      const next = this.#agenda.take()!
      this.now = next.at
      next.run()
    }
    this.now = Math.max(this.now, until)
    return when()
  }

  send(from: Member, to: NodeId, said: Said): void {
    if (from.plan?.how === 'twins') this.#twinSpoke(from)
    const bytes = asBytes(said)
    const message = said instanceof Uint8Array ? undefined : (said as Message)
    for (const member of this.running) {
      if (member.id !== to || member.seat === from.seat || !this.#sees(from, member)) continue
      if (!from.isHonest && !isTheirs(member, from)) continue
      const isAcross = this.plan.isOver && (!from.isHonest || !member.isHonest)
      const delays = isAcross ? [this.random.between(1, 6)] : this.network.carry(from.seat, member.seat, message)
      for (const delay of delays)
        this.at(this.now + delay, () => {
          if (member.isUp) member.hear(from.id, bytes)
        })
    }
  }

  #twinSpoke(from: Member): void {
    this.#spoke.add(`${from.seat} ${from.copy}`)
    if (this.#spoke.has(`${from.seat} 0`) && this.#spoke.has(`${from.seat} 1`) && !this.#spoke.has(`${from.seat}`)) {
      this.#spoke.add(`${from.seat}`)
      this.did('F43')
    }
  }

  /** Each twin sees its part of the others; copies of several twins see those of their own side. */
  #sees(a: Member, b: Member): boolean {
    const side = (one: Member): number | undefined =>
      one.plan?.how === 'twins' ? one.copy : this.#sides.has(one.seat) ? 1 : 0
    const isTwin = a.plan?.how === 'twins' || b.plan?.how === 'twins'
    return !isTwin || side(a) === side(b)
  }

  submit(client: Client | undefined, bytes: Uint8Array, seats: readonly Seat[]): void {
    for (const { number } of seats)
      for (const member of this.running)
        if (member.seat === number && (this.isHealed || !this.random.chance(client ? this.plan.drop : 0)))
          this.at(this.now + this.random.between(1, 6), () => {
            if (member.isUp) member.request(bytes)
          })
  }

  reply(from: Member, request: Request, reply: Reply): void {
    const client = this.clients.find(({ key }) => Buffer.compare(key, request.client) === 0)
    if (client === undefined || (!this.isHealed && this.random.chance(this.plan.drop))) return
    const name = `${request.client.join()} ${request.session} ${request.seq}`
    this.at(this.now + this.random.between(1, 6), () => client.hear(from.seat, name, reply))
  }

  stepped(member: Member, event: ServerEvent): void {
    this.events++
    const kind = event.type === 'message' ? event.message.type.length : event.type.length
    this.#hash = Math.imul(this.#hash ^ kind ^ (member.seat << 8) ^ (Math.floor(this.now * 64) << 12), 0x01000193)
    if (this.events % 8 === 0 && member.isHonest) this.#bounded(member)
  }

  get traceHash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0')
  }

  /** I21: what others send can not make a member keep more and more. */
  #bounded({ id, server }: Member): void {
    const { length } = server.members.list
    const bounds: readonly (readonly [string, number, number])[] = [
      ['term votes', server.demands.size, length],
      ['suspicions', server.suspicions.size, length],
      ['peers helped', server.helped.size, this.seats.length],
      ['requests that wait', server.pool.size, 16_384],
    ]
    for (const [what, has, most] of bounds)
      if (has > most) throw new Violation('I21', `${id} keeps ${has} ${what}, ${most} are allowed`)
  }

  halted(member: Member): void {
    this.count('halted')
    if (!this.plan.isOver && member.isHonest)
      throw new Violation('I9', `${member.id} halts: ${String(member.halted)}`, member.halted)
  }

  /** A member saw a fork, its own or as another tells it. */
  forked(member: Member, from: NodeId, dump: Uint8Array): void {
    if (!member.isHonest) return
    member.dumps.set(from, dump)
    if (from !== member.id) return
    this.count('detected')
    if (!this.plan.isOver) throw new Violation('I9', `${member.id} sees a fork where there can be none`)
  }

  /** I18: whatever an honest member holds against somebody convinces anyone who has the keys of that epoch, and is true. */
  accused(accuser: Member, { who, lie, what, evidence }: Verdict & { readonly evidence: Uint8Array }): void {
    const { isHonest, id, seat } = accuser
    if (!isHonest) return
    const piece = decodeEvidence(evidence)
    const { members } = this.witness.eraOf(seat, 'epoch' in piece ? piece.epoch : accuser.server.members.epoch)!
    const found = judge(sha256, members, this.members.genesis.hash, piece)
    const checks = found ? [...found.valid, ...found.invalid] : []
    if (found === undefined || found.who !== who || !stands(found, checks.map(this.notary.isSigned)))
      throw new Violation('I18', `${id} holds something against ${who} that proves nothing`, { lie, what })
    const isLiar = this.isLiar(members, who)
    const isMallory = lie === 'E8' && this.clients.every(({ key }) => toHex(key) !== who)
    if (!isLiar && !isMallory) {
      this.count('framed')
      throw new Violation('I18', `${id} proves of ${who}, who is honest: ${what}`, { lie, what })
    }
    this.count(`evidence ${lie}`)
    if (isLiar) this.culprits.add(who)
  }

  /** By whose key it had in that epoch. */
  isLiar({ list }: Members, who: NodeId): boolean {
    const voter = list.find(({ id }) => id === who)
    return voter !== undefined && this.#seatOf(voter.key)?.plan !== undefined
  }

  did(fault: FaultName, isLive?: true): void {
    this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1)
    if (isLive) this.count(`live ${fault}`)
  }

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by)
  }
}

/** A channel goes with its key: who knows another key under that id does not listen to whoever had the old one. */
function isTheirs({ server }: Member, { id, key }: Member): boolean {
  const { members } = server
  return members.signer(id) === undefined || members.signer(id, key) !== undefined
}
