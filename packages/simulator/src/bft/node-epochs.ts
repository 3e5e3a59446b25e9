import { founding, type Members, readEpochs } from '@raftkit/bft'
import { isRaftkitError, type NodeId } from '@raftkit/contract'
import type { Random } from '../random.ts'
import { Violation } from '../watcher.ts'
import type { Called, Server } from '../world/server.ts'
import type { World } from '../world/world.ts'
import type { Notary } from './notary.ts'
import { sha256 } from './notary.ts'
import { Board, successors } from './operators.ts'
import { type BftPlan, type ChangePlan, comingLiar } from './plan.ts'
import type { Seat } from './seats.ts'

interface Wanted {
  readonly next: readonly Seat[]
  readonly item: Uint8Array
}

/** Who voted when, as whole nodes prove it to whoever knows the founders; and the operators who change that. */
export class NodeEpochs {
  readonly board: Board
  readonly founders: Members
  readonly #plan: BftPlan
  readonly #notary: Notary
  readonly #random: Random
  /** Whoever has that id now. */
  readonly #seats: Map<NodeId, Seat> = new Map()
  /** Under each key that there ever was. */
  #count = 0
  /** As the first node that came through it proved it. */
  #epochs: Members[]
  /** Switched off, for ever. */
  readonly #gone: Set<NodeId> = new Set()
  readonly counts: Record<string, number> = {}
  isSettled = true

  constructor(plan: BftPlan, notary: Notary, random: Random) {
    this.#plan = plan
    this.#notary = notary
    this.#random = random.split('operators')
    this.board = new Board(notary)
    for (let seat = 0; seat < plan.members; seat++)
      this.#seat(
        `m${String(seat).padStart(2, '0')}`,
        plan.liars.find((liar) => liar.seat === seat),
      )
    const operators = plan.changes.length > 0 ? { operators: this.board.operators } : {}
    const cluster = { cluster: 'sim', group: 'main', members: [...this.#seats.values()], ...operators } as const
    this.founders = founding(sha256, cluster).members
    this.#epochs = [this.founders]
  }

  #seat(id: NodeId, plan: Seat['plan']): Seat {
    const number = this.#count++
    const seat = { number, id, key: this.#notary.register(number < this.#plan.members ? id : `seat ${number}`), plan }
    const withAddress = { ...seat, address: `${id}:1` }
    if (!this.#seats.has(id)) this.#seats.set(id, withAddress)
    return withAddress
  }

  seat(id: NodeId): Seat {
    return this.#seats.get(id)!
  }

  isHonest(id: NodeId): boolean {
    return this.seat(id).plan === undefined
  }

  /** The newest that anybody proved. */
  get now(): Members {
    return this.#epochs.at(-1)!
  }

  isOn(id: NodeId): boolean {
    return !this.#gone.has(id)
  }

  /** As this node proves it; I16: no two nodes prove different ones, whoever lies. */
  of({ node, id }: Server): readonly Members[] | undefined {
    const receipt = node?.receipt(node.status().configIndex)
    if (receipt === undefined) return undefined
    const verify = (checks: Parameters<Notary['isSigned']>[0][]): boolean[] => checks.map(this.#notary.isSigned)
    const epochs = readEpochs(this.founders, receipt, { digest: sha256, verify: (checks) => verify([...checks]) })
    for (const [epoch, members] of epochs.entries()) {
      this.#epochs[epoch] ??= members
      if (this.#epochs[epoch].domain !== members.domain)
        throw new Violation('I16', `${id} proves another epoch ${epoch} than a node before it`)
    }
    return epochs
  }

  /** All that run are asked. */
  look(world: World): void {
    for (const server of world.servers.values()) this.of(server)
  }

  start(world: World): void {
    if (this.#plan.changes.length === 0) return
    this.isSettled = false
    this.#all(world).catch((error: unknown) => world.watchers.fail(error))
  }

  async #all(world: World): Promise<void> {
    for (const plan of this.#plan.changes) {
      await world.sleep(Math.max(0, plan.at - world.now))
      if (world.now > this.#plan.lasts) break
      await this.#one(world, plan)
    }
    this.isSettled = true
  }

  async #one(world: World, plan: ChangePlan): Promise<void> {
    this.look(world)
    const members = this.now
    const before = members.list.map(({ id }) => this.seat(id))
    const wanted = (plan.isContested ? ['one', 'other'] : ['one']).map((): Wanted => {
      const next = successors(plan.kind, before, this.#random, false, (lies, id) => this.#coming(lies, id))
      return { next, item: this.board.sign(members, next) }
    })
    const comes = (seat: Seat): boolean => !before.some(({ id }) => id === seat.id)
    if (!plan.isLate) for (const { next } of wanted) this.#join(world, next.filter(comes))
    this.#disturb(world, plan, before)
    await this.#refused(world, members)
    const isOver = (): boolean => this.now.epoch > members.epoch
    const hand = async ({ next, item }: Wanted, at: number): Promise<void> => {
      while (!isOver()) {
        const server = world.server(this.#random.pick(before.filter((_, seat) => seat % wanted.length === at)).id)
        const called = await server.call((node) => node.members.change(item, { timeout: 1500 }))
        this.look(world)
        this.#judge(server, called, this.#ended(members, next))
        await world.sleep(50)
      }
    }
    await Promise.all(wanted.map(hand))
    const won = wanted.find(({ next }) => this.#ended(members, next))
    if (won !== undefined) await this.#settle(world, before, won.next)
  }

  /** Whether they are who votes behind it. Undefined: it has not ended. */
  #ended({ epoch }: Members, next: readonly Seat[]): boolean | undefined {
    const members = this.#epochs[epoch + 1]
    if (members === undefined) return undefined
    return members.list.length === next.length && next.every(({ id, key }) => members.signer(id, key) !== undefined)
  }

  #coming(lies: boolean, id?: NodeId): Seat {
    const plan = lies ? comingLiar(this.#random, this.#count) : undefined
    return this.#seat(id ?? `${this.#random.pick(['a', 'm', 'z'])}${String(this.#count).padStart(2, '0')}`, plan)
  }

  #join(world: World, seats: readonly Seat[]): void {
    const members = [...new Set([...this.now.list, ...this.founders.list].map(({ id }) => id))]
    for (const { id } of seats)
      if (!world.server(id).alive)
        world.server(id).start({ members: [...members.filter((one) => one !== id), id], join: true })
  }

  #disturb(world: World, { during }: ChangePlan, before: readonly Seat[]): void {
    if (during === 'nothing') return
    const server = world.server(this.#random.pick(before.filter(({ plan }) => plan === undefined)).id)
    if (server.alive) server.kill()
    world.after(this.#random.between(200, 1500), () => this.isOn(server.id) && !server.alive && server.start())
  }

  /** What one operator alone signed, once or twice, whoever is asked. */
  async #refused(world: World, members: Members): Promise<void> {
    const server = world.server(this.#random.pick(members.list).id)
    const item = this.board.sign(members, members.list, this.#random.pick([[1], [1, 1]]))
    const called = await server.call((node) => node.members.change(item, { timeout: 500 }))
    if (called.outcome === 'done') throw new Violation('F35', `${server.id} takes what one operator alone signed`)
    if (called.outcome === 'refused' && isRaftkitError(called.error, 'REFUSED')) this.#tally('configurations refused')
  }

  /** Whoever handed one in at an honest member is told the truth. `hasWon`: as the epoch went. */
  #judge({ id }: Server, called: Called<unknown>, hasWon: boolean | undefined): void {
    if (!this.isHonest(id)) return
    const { outcome } = called
    if (outcome === 'done' && hasWon !== true)
      throw new Violation('I16', `${id} says that a configuration is in force, and another one is`)
    if (outcome !== 'refused' || !isRaftkitError(called.error, 'REFUSED')) return
    if (hasWon) throw new Violation('I16', `${id} refuses the configuration that ended the epoch`, called.error.message)
    this.#tally('configurations refused')
  }

  /** Who was named under a new key comes with an empty disk; some of those who left are switched off once nobody needs them. */
  async #settle(world: World, before: readonly Seat[], next: readonly Seat[]): Promise<void> {
    const { epoch } = this.now
    const isIn = (some: readonly Seat[], { id }: Seat): boolean => some.some((one) => one.id === id)
    const rotated = next.filter((one) => isIn(before, one) && !before.includes(one))
    const left = before.filter((one) => !isIn(next, one))
    this.#tally('epochs')
    this.#tally('members joined', next.filter((one) => !isIn(before, one)).length)
    this.#tally('members removed', left.length)
    this.#tally('keys rotated', rotated.length)
    for (const seat of rotated) {
      this.#seats.set(seat.id, seat)
      world.server(seat.id).wipe()
    }
    this.#join(
      world,
      next.filter((one) => !before.includes(one)),
    )
    const isThere = ({ id }: Seat): boolean => {
      const { node } = world.server(id)
      const status = node?.status()
      return (
        !this.isHonest(id) ||
        (status !== undefined &&
          (this.of(world.server(id))?.length ?? 0) > epoch &&
          status.applied >= status.configIndex)
      )
    }
    while (!next.every(isThere)) await world.sleep(100)
    for (const { id } of left)
      if (this.#random.chance(0.4)) {
        this.#gone.add(id)
        world.server(id).kill()
      }
  }

  /** All who are honest and there know the epochs alike, and whether they are members still. */
  conclude(world: World): void {
    this.look(world)
    for (const server of world.servers.values()) {
      const { id, node } = server
      if (node === undefined || !this.isHonest(id)) continue
      const isMember = this.now.signer(id) !== undefined
      const wasMember = this.#epochs.some((members) => members.signer(id, this.seat(id).key) !== undefined)
      if (isMember && this.of(server)?.length !== this.#epochs.length)
        throw new Violation('I20', `${id} has not come to the newest epoch`)
      if (!isMember && wasMember && !node.status().removed)
        throw new Violation('I20', `${id} does not know that it is no member any more`)
    }
  }

  #tally(what: string, by = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + by
  }
}
