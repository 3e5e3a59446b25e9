import type { Members } from '@raftkit/bft'
import type { Random } from '../random.ts'
import { Board, successors } from './operators.ts'
import { type ChangePlan, comingLiar } from './plan.ts'
import type { Seat } from './seats.ts'
import type { BftWorld } from './world.ts'

interface Wanted {
  readonly plan: ChangePlan
  /** Who voted until then. */
  readonly before: readonly Seat[]
  /** Two, of which one at most can win. */
  readonly configurations: readonly { readonly next: readonly Seat[]; readonly item: Uint8Array }[]
}

/** The operators of a run: one change of the members after the other, handed in again and again until it, or its rival, has ended the epoch. */
export class Changes {
  readonly board: Board
  readonly #world: BftWorld
  readonly #random: Random
  readonly #left: ChangePlan[]
  #wanted: Wanted | undefined
  #isDue = false

  constructor(world: BftWorld, plans: readonly ChangePlan[]) {
    this.#world = world
    this.#random = world.random.split('operators')
    this.#left = [...plans]
    this.board = new Board(world.notary)
  }

  /** Nothing is signed that could still end an epoch. */
  get isSettled(): boolean {
    return this.#wanted === undefined
  }

  get isDone(): boolean {
    return this.isSettled && this.#left.length === 0 && !this.#isDue
  }

  start(): void {
    const plan = this.#left.shift()
    if (plan === undefined) return
    const world = this.#world
    this.#isDue = true
    world.at(plan.at, () => {
      this.#isDue = false
      if (!world.isHealed) this.#begin(plan)
    })
  }

  #begin(plan: ChangePlan): void {
    const world = this.#world
    const { members } = world.witness.newest
    const before = world.voters
    const configurations = (plan.isContested ? ['one', 'other'] : ['one']).map(() => {
      const next = this.#draw(plan, before)
      return { next, item: this.board.sign(members, next) }
    })
    const wanted = { plan, before, configurations }
    this.#wanted = wanted
    if (!plan.isLate) for (const { next } of configurations) world.join(next)
    this.#disturb(plan)
    const all = this.#random.shuffle(before)
    if (plan.during === 'partition') return this.#handApart(wanted)
    // What one operator alone signed, once or twice, is what the others do not want.
    world.configure(this.board.sign(members, before, this.#random.pick([[1], [1, 1]])), all)
    this.#hand(wanted, this.#random.chance(0.5) ? all : all.slice(0, configurations.length))
  }

  #draw({ kind }: ChangePlan, before: readonly Seat[]): Seat[] {
    const world = this.#world
    return successors(kind, before, this.#random, world.plan.isOver, (lies, id) => {
      const { length } = world.seats
      return world.seat(lies ? comingLiar(this.#random, length) : undefined, id)
    })
  }

  #hand(wanted: Wanted, to: readonly Seat[]): void {
    const world = this.#world
    const { configurations } = wanted
    for (const [at, seat] of to.entries()) world.configure(configurations[at % configurations.length]!.item, [seat])
    world.at(world.now + 500, () => {
      if (this.#wanted === wanted) this.#hand(wanted, world.voters)
    })
  }

  /** One to each part, or to one part alone. */
  #handApart({ before, configurations }: Wanted): void {
    const world = this.#world
    for (const [part, { item }] of configurations.entries())
      world.configure(
        item,
        before.filter(({ number }) => world.partOf(number) === part),
      )
  }

  #disturb({ during }: ChangePlan): void {
    const world = this.#world
    if (during === 'nothing' || during === 'partition') return
    const victim = this.#random.pick(
      world.honest.filter(({ isUp, seat }) => isUp && world.voters.some(({ number }) => number === seat)),
    )
    const pause = this.#random.between(200, 1500)
    if (victim === undefined) return
    if (during === 'crash') world.crash(victim, pause)
    else world.isolate(victim, pause)
  }

  /** Some honest member is the first to come to the newest epoch. */
  entered(members: Members): void {
    const wanted = this.#wanted
    if (wanted === undefined) return
    const world = this.#world
    this.#wanted = undefined
    const { before, configurations } = wanted
    const won = configurations.find(({ next }) => isOf(members, next))
    if (won === undefined) return
    const { next } = won
    const isIn = (some: readonly Seat[], { id }: Seat): boolean => some.some((one) => one.id === id)
    world.count('epochs')
    world.count('members joined', next.filter((one) => !isIn(before, one)).length)
    world.count('members removed', before.filter((one) => !isIn(next, one)).length)
    world.count('keys rotated', next.filter((one) => isIn(before, one) && !before.includes(one)).length)
    // The rival, and what one operator alone had signed.
    world.count('configurations refused', configurations.length)
    world.join(next)
    this.#leave(before.filter((one) => !next.includes(one)))
    this.start()
  }

  /** Some of those who left are switched off, once all who are honest and stay can do without them. */
  #leave(leavers: readonly Seat[]): void {
    const world = this.#world
    const { genesis } = world.witness.newest.members
    const look = (): void => {
      const late = world.honest.filter(
        ({ seat, application }) =>
          application.applied < genesis.index && world.voters.some(({ number }) => number === seat),
      )
      if (late.length > 0) return world.at(world.now + 200, look)
      for (const { number } of leavers) if (this.#random.chance(0.4)) world.scrap(number)
    }
    world.at(world.now + 200, look)
  }
}

const isOf = ({ list }: Members, seats: readonly Seat[]): boolean =>
  list.length === seats.length &&
  seats.every(({ id, key }) => list.some((one) => one.id === id && Buffer.compare(one.key, key) === 0))
