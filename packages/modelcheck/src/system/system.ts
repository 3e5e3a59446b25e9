import { hash128, Writer } from '@raftkit/bytes'
import { isRaftkitError, type NodeId, type Outgoing, type Sender } from '@raftkit/contract'
import type { Message, Raft } from '@raftkit/core'
import { type LocalAction, type Model, type Transition, Violation } from '../explore/model.ts'
import {
  afterJoint,
  checkDisk,
  checkSent,
  checkServer,
  checkStep,
  holds,
  isQuorum,
  logsMatch,
  membersOf,
  type Reopened,
} from '../invariants.ts'
import { type Action, actionsOf, budgetNames, describe } from './actions.ts'
import { beginning } from './beginning.ts'
import { cannotMatter } from './dead.ts'
import { clock, crashed, incarnation, Lives } from './lives.ts'
import { type Log, Logs } from './logs.ts'
import { newsOf } from './news.ts'
import { Registry } from './registry.ts'
import { everything, type Machine, type Scope } from './scope.ts'
import { endToEnd, type Server, type Turn } from './server.ts'
import { type Rename, renamed, renamesOf } from './symmetry.ts'
import { type Known, type News, told } from './watcher.ts'

interface Packet {
  readonly from: Sender
  readonly genesis: string
  readonly outgoing: Outgoing<Message>
  readonly slot: number
}

interface View {
  readonly log: Log
  readonly disk: Reopened
}

export interface SystemOptions {
  /** Count states that differ by names alone once. Default true. */
  readonly symmetry?: boolean
  /** A server that crashed is back at once. Default true. */
  readonly reduce?: boolean
  /** Of servers with equal digests, step the newest instead of the first. It must make no difference. */
  readonly keepsNewest?: boolean
}

/** The servers of a scope, as a model for the explorer. The constructor throws `Violation` if they do not get as far as the scope begins. */
export class System implements Model {
  readonly scope: Scope
  readonly processes: number
  readonly permutations: number
  readonly budgets: Model['budgets']
  readonly duplicates: number
  readonly losses: number
  readonly keepsMessages: boolean
  readonly initial: Model['initial']
  readonly hashes: Model['hashes']
  readonly ways: { words: Int32Array } = { words: new Int32Array(1 << 10) }
  readonly capacity: number
  readonly logs: Logs = new Logs()

  readonly #machine: Machine
  readonly #reduce: boolean
  readonly #renames: readonly Rename[]
  readonly #servers: Registry<Server>
  readonly #packets: Registry<Packet>
  readonly #knowns: Registry<Known>
  readonly #news: News[] = []
  readonly #newsIds = new Map<string, number>()
  readonly #views: View[] = []
  readonly #actions: (readonly LocalAction[])[] = []
  readonly #all: Action[] = []
  readonly #actionIds = new Map<string, number>()
  readonly #lives: Lives
  readonly #matching = new Map<number, boolean>()
  readonly #held = new Map<number, boolean>()

  constructor(scope: Scope, options: SystemOptions = {}) {
    this.scope = scope
    this.processes = scope.servers.length
    this.budgets = budgetNames.map((name) => ({ name, limit: scope.budgets[name] ?? 0 }))
    this.duplicates = (scope.budgets.duplicate ?? 0) > 0 ? budgetNames.indexOf('duplicate') : -1
    this.losses = (scope.budgets.loss ?? 0) > 0 ? budgetNames.indexOf('loss') : -1
    this.keepsMessages = scope.redelivers === true
    this.capacity = scope.channel ?? Number.POSITIVE_INFINITY
    this.#machine = scope.machine ?? everything
    this.#reduce = options.reduce !== false
    this.#renames =
      options.symmetry === false ? [(id) => id] : renamesOf(scope.servers, scope.symmetric ?? [scope.servers])
    this.permutations = this.#renames.length
    this.#servers = new Registry(this.permutations)
    this.#servers.keepsNewest = options.keepsNewest === true
    this.#packets = new Registry(this.permutations)
    this.#knowns = new Registry(this.permutations)
    this.hashes = { process: this.#servers, message: this.#packets, watcher: this.#knowns }
    this.#lives = new Lives(scope, this.#machine, this.#renames, this.logs)
    const { servers, known, sender, sent } = guarded(() => beginning(scope, this.#lives, this.logs, this.#machine))
    this.initial = {
      processes: servers.map((server) => this.#intern(server)),
      watcher: this.#known(known),
      messages: sent.map((outgoing) => this.#packet(servers[sender]!.life!.protocol, outgoing)),
    }
  }

  get localStates(): number {
    return this.#servers.values.length
  }

  get messages(): number {
    return this.#packets.values.length
  }

  server(process: number): Server {
    return this.#servers.values[process]!
  }

  packet(message: number): Packet {
    return this.#packets.values[message]!
  }

  actions(process: number): readonly LocalAction[] {
    const known = this.#actions[process]
    if (known !== undefined) return known
    const actions = actionsOf(this.server(process), this.scope, this.#reduce).map((action): LocalAction => {
      const key = JSON.stringify(action)
      let id = this.#actionIds.get(key)
      if (id === undefined) {
        id = this.#all.length
        this.#actionIds.set(key, id)
        this.#all.push(action)
      }
      const budget = action.budget === undefined ? -1 : budgetNames.indexOf(action.budget)
      return { action: id, budget, when: action.when ?? -1 }
    })
    this.#actions[process] = actions
    return actions
  }

  act(process: number, actionId: number): Transition {
    const server = this.server(process)
    const action = this.#all[actionId]!
    if (action.type === 'crash') {
      const down = crashed(server, action.arg)
      return this.#transition(process, this.#reduce ? () => this.#lives.restarted(down) : () => ({ server: down }))
    }
    if (action.type === 'restart') return this.#transition(process, () => this.#lives.restarted(server))
    return this.#transition(process, () => {
      const turn = this.#lives.turn(server)
      const news: News[] = []
      turn.wait(clock.step)
      switch (action.type) {
        case 'flush':
          turn.flush()
          break
        case 'timeout':
          turn.wait(4 * clock.retry)
          turn.do({ type: 'time' })
          break
        case 'elapse':
          turn.wait(2 * clock.retry)
          turn.do({ type: 'applied', index: 0 })
          break
        case 'heartbeat':
          turn.wait(clock.heartbeat)
          turn.do({ type: 'time' })
          break
        case 'silence':
          turn.wait(2 * clock.retry)
          turn.do({ type: 'time' })
          break
        case 'retry':
          turn.wait(clock.retry)
          // Does not bring the election timer nearer: that is what `timeout` is for.
          turn.do({ type: 'time', stalled: clock.retry })
          break
        case 'campaign':
          turn.do({ type: 'campaign' })
          break
        case 'propose':
          turn.do({
            type: 'propose',
            id: action.arg,
            data: new TextEncoder().encode(action.what!),
            time: 0,
            seed: action.arg,
          })
          break
        case 'change':
          turn.do({ type: 'change', id: 200 + action.arg, request: this.scope.changes![action.arg], time: 0 })
          break
        case 'read':
          news.push({ type: 'asked', read: 100 + action.arg })
          turn.do({ type: 'read', id: 100 + action.arg, consistency: 'linearizable' })
          break
        case 'transfer':
          turn.do({ type: 'transfer', id: 300 + action.arg, to: this.scope.servers[action.arg]! })
          break
        case 'snapshot':
          turn.snapshot()
          break
      }
      return { server: turn.server, turn, news }
    })
  }

  deliver(process: number, message: number): Transition {
    const server = this.server(process)
    const { from, genesis, outgoing } = this.packet(message)
    const { life } = server
    if (life === undefined || (outgoing.incarnation !== '' && outgoing.incarnation !== incarnation))
      return { next: process, sends: [], news: [] }
    return this.#transition(process, () => {
      const turn = this.#lives.turn(server)
      turn.wait(clock.step)
      const { message: said } = outgoing
      if (this.scope.impatient && said.type === 'requestVote' && life.protocol.role.type !== 'leader')
        turn.wait(2 * clock.retry)
      turn.do({ type: 'message', from, genesis, message: said })
      return { server: turn.server, turn }
    })
  }

  isDead(process: number, message: number): boolean {
    const { life } = this.server(process)
    if (life === undefined) return false
    const { message: said } = this.packet(message).outgoing
    return cannotMatter(said, life.protocol, this.#views[process]!.disk.term)
  }

  watch(watcher: number, news: number): number {
    return this.#known(told(this.#knowns.values[watcher]!, this.#news[news]!, this.logs, this.#machine))
  }

  check(state: Int32Array, at: number): void {
    const count = this.processes
    for (let a = 0; a < count; a++)
      for (let b = a + 1; b < count; b++) this.#checkMatching(state[at + a]!, state[at + b]!)
    this.#checkCommitted(state, at)
  }

  describeAction(process: number, action: number): string {
    return `${this.scope.servers[this.server(process).slot]}: ${describe(this.#all[action]!, this.scope)}`
  }

  describeMessage(message: number): string {
    const { from, outgoing } = this.packet(message)
    const { type, ...fields } = outgoing.message
    const shown = Object.entries(fields)
      .filter(([name]) => name !== 'records' && name !== 'bytes')
      .map(([name, value]) => `${name} ${typeof value === 'object' ? JSON.stringify(value) : value}`)
    return `${from.id} → ${outgoing.to}: ${type} ${shown.join(', ')}`
  }

  describeProcess(process: number): string {
    const { slot, life } = this.server(process)
    const { log, disk } = this.#views[process]!
    const id = this.scope.servers[slot]
    const entries = log.entries.map(
      ({ term, command }, i) => `${log.first + i}:${term}${command && `“${command.slice(0, 8)}”`}`,
    )
    if (life === undefined) return `${id} is down; its disk: term ${disk.term}, log ${entries.join(' ')}`
    const { role, term, commit, durable } = life.protocol.status()
    return `${id}: ${role} of term ${term}, log ${entries.join(' ')}, durable ${durable}, commit ${commit}, disk: term ${disk.term} vote ${disk.vote?.id ?? '-'}${life.writes.length > 0 ? `, ${life.writes.length} writes under way` : ''}`
  }

  /** The result of a step: its server, interned, its messages, and what the watcher shall know. Checks what concerns this server alone. */
  #transition(
    process: number,
    step: () => { readonly server: Server; readonly turn?: Turn; readonly news?: News[]; readonly isNewLife?: boolean },
  ): Transition {
    const before = this.server(process)
    const { server, turn, news = [], isNewLife = false } = guarded(step)
    const { life } = server
    if (life !== undefined) {
      const { term, last } = life.protocol.status()
      if (term > this.scope.term || last > (this.scope.last ?? Number.POSITIVE_INFINITY))
        return { next: -1, sends: [], news: [] }
    }
    const id = this.scope.servers[server.slot]!
    const memory = this.logs.of(server.contents.at(-1)!)
    const disk = this.#lives.disk(server.slot, server.contents[0]!).reopened
    if (life !== undefined) {
      checkServer(life.protocol, disk, memory)
      const earlier = isNewLife ? undefined : before.life
      if (earlier !== undefined) checkStep(earlier.protocol, life.protocol, this.#views[process]!.log, memory)
      for (let at = 1; at < server.contents.length; at++)
        checkDisk(
          id,
          this.#lives.disk(server.slot, server.contents[at - 1]!).reopened,
          this.#lives.disk(server.slot, server.contents[at]!).reopened,
        )
      news.push(...newsOf(id, earlier, server, turn, memory))
    }
    const sends: number[] = []
    for (const outgoing of turn?.outcome.sent ?? []) {
      checkSent(outgoing.message, outgoing.to, life!.protocol.self, disk, memory)
      if (this.scope.servers.includes(outgoing.to)) sends.push(this.#packet(life!.protocol, outgoing))
    }
    return { next: this.#intern(server), sends, news: news.map((item) => this.#newsId(item)) }
  }

  #checkMatching(a: number, b: number): void {
    const one = this.#views[a]!.log
    const other = this.#views[b]!.log
    if (one === other) return
    const key = one.id * 0x100000 + other.id
    let same = this.#matching.get(key)
    if (same === undefined) {
      same = logsMatch(one, other)
      this.#matching.set(key, same)
    }
    if (!same) throw new Violation('log matching', `${this.describeProcess(a)}; ${this.describeProcess(b)}`)
  }

  /**
   * What was ever committed is on the disks of a quorum: up to the newest configuration among it, of that configuration; and all of it, of that
   * one or of one that may decide after it.
   */
  #checkCommitted(state: Int32Array, at: number): void {
    const watcher = state[at + this.processes]!
    const { committed } = this.#knowns.values[watcher]!
    if (committed.length === 0) return
    const has = this.#holders(state, at, watcher, committed.length)
    if (has.size === this.processes) return
    const members = committed.map(({ entry }) => this.logs.entries[entry]!.members)
    let configured = members.length
    while (configured > 0 && members[configured - 1] === undefined) configured--
    const newest = members[configured - 1]
    // A leader leaves a committed joint configuration as soon as it appends the new one, which nobody else need have seen.
    const configs = newest === undefined ? [] : [newest, afterJoint(newest)]
    for (let slot = 0; slot < this.processes; slot++) {
      const effective = membersOf(this.#views[state[at + slot]!]!.log)
      if (effective !== undefined) configs.push(effective)
    }
    const before = this.#holders(state, at, watcher, configured)
    if (newest !== undefined && !isQuorum(newest, (id) => before.has(id))) throw this.#tooFew(configured, before)
    if (!configs.some((config) => isQuorum(config, (id) => has.has(id)))) throw this.#tooFew(committed.length, has)
  }

  /** Whose disks hold the first so many committed entries. */
  #holders(state: Int32Array, at: number, watcher: number, count: number): ReadonlySet<NodeId> {
    const has = new Set<NodeId>()
    for (let slot = 0; slot < this.processes; slot++) {
      const { log } = this.#views[state[at + slot]!]!.disk
      const key = (watcher * 64 + count) * 0x100000 + log.id
      let holding = this.#held.get(key)
      if (holding === undefined) {
        const entries = this.#knowns.values[watcher]!.committed.slice(0, count).map(({ entry }) => entry)
        holding = holds(log, entries)
        this.#held.set(key, holding)
      }
      if (holding) has.add(this.scope.servers[slot]!)
    }
    return has
  }

  #tooFew(count: number, has: ReadonlySet<NodeId>): Violation {
    return new Violation(
      'committed is durable on a quorum',
      `${count} entries are committed, and only the disks of ${[...has].join(', ') || 'nobody'} hold them`,
    )
  }

  #intern(server: Server): number {
    const { slot, contents, blobs, partial, life } = server
    const { id, isNew } = this.#servers.intern(server, (permutation) => {
      const rename = this.#renames[permutation]!
      const writer = new Writer(512).text(rename(this.scope.servers[slot]!)).u8(life === undefined ? 0 : 1)
      for (const content of contents) writer.raw(this.#lives.disk(slot, content).digests[permutation]!)
      for (const held of [blobs, partial]) {
        writer.u32(held.size)
        for (const [name, blob] of [...held].sort(([a], [b]) => (a < b ? -1 : 1))) writer.text(name).text(blob)
      }
      if (life !== undefined) {
        writer.raw(life.protocol.digest(rename)).text(life.machine).u64(life.applied).u32(life.reads.length)
        for (const read of life.reads) writer.u64(read.id).u64(read.index)
        for (const outgoing of life.held)
          writer.u64(outgoing.after - life.durable).raw(this.#digestOf(life.protocol, outgoing, permutation))
      }
      return hash128(writer.finish())
    })
    if (isNew)
      this.#views[id] = { log: this.logs.of(contents.at(-1)!), disk: this.#lives.disk(slot, contents[0]!).reopened }
    return id
  }

  #packet(protocol: Raft, outgoing: Outgoing<Message>): number {
    const packet: Packet = {
      from: protocol.self,
      genesis: protocol.state.genesis,
      // Through bytes, as on a wire.
      outgoing: { ...outgoing, message: protocol.decode(endToEnd(protocol.encode(outgoing.message))) },
      slot: this.scope.servers.indexOf(outgoing.to),
    }
    const { id, isNew } = this.#packets.intern(packet, (at) => this.#digestOf(protocol, outgoing, at))
    if (isNew) {
      if (2 * id + 2 > this.ways.words.length) {
        const grown = new Int32Array(this.ways.words.length * 2)
        grown.set(this.ways.words)
        this.ways.words = grown
      }
      this.ways.words[2 * id] = packet.slot
      this.ways.words[2 * id + 1] = this.scope.servers.indexOf(packet.from.id) * this.processes + packet.slot
    }
    return id
  }

  #digestOf(protocol: Raft, outgoing: Outgoing<Message>, permutation: number): Uint8Array {
    const rename = this.#renames[permutation]!
    const writer = new Writer(256).text(rename(protocol.self.id)).text(rename(outgoing.to)).text(outgoing.incarnation)
    for (const part of protocol.encode(outgoing.message)) writer.bytes(renamed(part, this.scope.servers, rename))
    return hash128(writer.finish())
  }

  #known(known: Known): number {
    return this.#knowns.intern(known, (permutation) => {
      const rename = this.#renames[permutation]!
      const leaders = known.leaders.map(({ term, slot }) => [term, rename(this.scope.servers[slot]!)])
      return hash128(new TextEncoder().encode(JSON.stringify({ ...known, leaders })))
    }).id
  }

  #newsId(news: News): number {
    const key = JSON.stringify(news)
    const known = this.#newsIds.get(key)
    if (known !== undefined) return known
    this.#newsIds.set(key, this.#news.length)
    return this.#news.push(news) - 1
  }
}

/** What the protocol throws breaks an invariant of its own; but for what shows a mistake in a program. */
function guarded<T>(step: () => T): T {
  try {
    return step()
  } catch (error) {
    if (error instanceof Violation || error instanceof TypeError || error instanceof ReferenceError) throw error
    const code = isRaftkitError(error) ? error.code : 'threw'
    throw new Violation(`protocol: ${code}`, (error as Error).message, { cause: error })
  }
}
