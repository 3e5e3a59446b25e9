import { behaviours, epochFaults, type FaultName } from '@raftkit/byzantine'
import { Random } from '../random.ts'

/** What somebody wants of every run of a campaign. */
export interface BftWishes {
  readonly protocol: 'bft'
  /** Milliseconds with faults. */
  readonly lasts: number
  /** `within`: up to f. `over`: f + 1. `mixed`: every fifth seed is over. */
  readonly liars: 'within' | 'over' | 'mixed'
}

export const planBft = (seed: number, { lasts, liars }: BftWishes): BftPlan =>
  withChanges(drawBftPlan(seed, lasts, liars === 'mixed' ? (seed % 5 === 0 ? 'over' : 'within') : liars))

/** How one seat lies. */
export interface LiarPlan {
  readonly seat: number
  /** `acts`: lies by number; `mutations`: ByzzFuzz; `twins`: two honest copies with one key; `rollback`: honest, but its disk is put back; `twist`: honest, but its machine is not what the others run. */
  readonly how: 'acts' | 'mutations' | 'twins' | 'rollback' | 'twist'
  readonly acts: readonly FaultName[]
}

/** `swap`: one for another. `rotate`: another machine and key under the same id. `turnover`: two for two, as far as enough stay. `renew`: nobody leaves. */
export type ChangeKind = 'swap' | 'rotate' | 'turnover' | 'grow' | 'shrink' | 'renew'

/** One change of the members, by honest operators. */
export interface ChangePlan {
  /** Not before that time, and not before the one before has ended its epoch. */
  readonly at: number
  readonly kind: ChangeKind
  /** Operators sign two for the same epoch, and hand each to half of the members. */
  readonly isContested: boolean
  /** Whoever comes is started only when it is a member. */
  readonly isLate: boolean
  /** What happens to one honest member meanwhile. `partition`: to all; the members are in two parts when one of them, or each its own, is signed a configuration. */
  readonly during: 'nothing' | 'crash' | 'isolation' | 'partition'
}

/** Everything that a run with liars decides in advance, drawn by the seed. */
export interface BftPlan {
  readonly seed: number
  readonly members: number
  readonly liars: readonly LiarPlan[]
  /** f + 1 of them, on both sides of a partition: safety is void, and must be seen to be. */
  readonly isOver: boolean
  /** Milliseconds with faults. */
  readonly lasts: number
  readonly drop: number
  readonly twice: number
  readonly delay: number
  /** A partition every so many milliseconds, for half as long; 0: none. */
  readonly partitions: number
  /** Rounds whose messages are cut between two halves (ByzzFuzz): the share of them. */
  readonly roundFaults: number
  /** Of honest members, in all. */
  readonly crashes: number
  readonly freezes: number
  readonly jumps: number
  readonly clients: number
  readonly requests: number
  /** Clients that misbehave, by number of the fault. */
  readonly mallories: readonly ('F16' | 'F17' | 'F18' | 'F19')[]
  readonly window: number
  readonly checkpointEntries: number
  /** None: the cluster is founded without operators. */
  readonly changes: readonly ChangePlan[]
}

const memberActs = Object.keys(behaviours) as FaultName[]

export const faultsOf = (members: number): number => Math.floor((members - 1) / 3)

/** `liars`: as a seed draws it, or always one more than the protocol stands. */
export function drawBftPlan(seed: number, lasts: number, liars: 'within' | 'over'): BftPlan {
  const random = new Random(seed).split('bft plan')
  const isOver = liars === 'over'
  const members = isOver ? random.pick([4, 4, 6, 7, 10]) : random.pick([4, 4, 4, 4, 5, 6, 7, 7, 10])
  const most = faultsOf(members)
  const count = isOver ? most + 1 : random.chance(0.1) ? random.below(most + 1) : most
  // Who leads first can do most: a liar sits there more often than chance puts it.
  const seats = random.shuffle(Array.from({ length: members }, (_, seat) => seat))
  if (random.chance(0.5)) seats.sort((a, b) => (a === 0 ? -1 : b === 0 ? 1 : 0))
  const inRow = !isOver && random.chance(0.1)
  const chosen = inRow ? Array.from({ length: count }, (_, seat) => seat) : seats.slice(0, count)
  const drawn: BftPlan = {
    seed,
    members,
    isOver,
    lasts,
    liars: chosen.map((seat) => (inRow ? { seat, how: 'acts', acts: ['F25'] } : liar(random, seat, isOver))),
    drop: inRow ? 0.1 : random.chance(0.5) ? random.between(0, 0.2) : 0,
    twice: random.chance(0.5) ? random.between(0, 0.2) : 0,
    delay: random.pick([2, 5, 20, 60]),
    partitions: !isOver && random.chance(0.4) ? random.between(400, 2000) : 0,
    roundFaults: !isOver && random.chance(0.3) ? random.between(0, 0.3) : 0,
    crashes: random.chance(0.5) ? random.below(6) : 0,
    freezes: random.chance(0.3) ? random.below(4) : 0,
    jumps: random.chance(0.3) ? random.below(4) : 0,
    clients: 1 + random.below(3),
    requests: 5 + random.below(15),
    mallories: (['F16', 'F17', 'F18', 'F19'] as const).filter(() => random.chance(0.2)),
    window: random.pick([1, 2, 4, 8]),
    // Whoever fetches a state takes what a quorum says lies before it: a fork below a checkpoint is seen by nobody any more.
    checkpointEntries: isOver ? 0 : random.pick([0, 4, 8, 16]),
    changes: [],
  }
  return isOver || inRow ? drawn : (rare(random, drawn) ?? drawn)
}

const kinds: readonly ChangeKind[] = ['swap', 'rotate', 'turnover', 'grow', 'shrink', 'renew']

/** Three plans in ten change their members, a few times; some of its liars then lie about that. */
export function withChanges(plan: BftPlan): BftPlan {
  const random = new Random(plan.seed).split('changes')
  // Faults that wait for a rare occasion are left to it.
  const isRare = plan.liars.some(({ acts: [act, ...rest] }) => rest.length === 0 && (act === 'F1' || act === 'F8'))
  if (isRare || !random.chance(0.3)) return plan
  // What is kept of the epoch before does not outlive a restart, and with it go the names of its liars.
  if (plan.isOver) return { ...plan, crashes: 0, changes: overChanges(random) }
  const drawn = Array.from({ length: 1 + random.below(4) }, () => ({
    at: random.between(100, 0.8 * plan.lasts),
    kind: random.pick(kinds),
    isContested: random.chance(0.3),
    isLate: random.chance(0.4),
    during: random.pick(['nothing', 'nothing', 'crash', 'isolation'] as const),
  }))
  const changes = drawn.sort((a, b) => a.at - b.at)
  // Whoever leads when operators change the members.
  if (plan.liars.length > 0 && random.chance(0.2)) {
    const [, ...others] = [...plan.liars].sort((a, b) => a.seat - b.seat)
    const first: LiarPlan = { seat: 0, how: 'acts', acts: ['F36'] }
    return { ...plan, changes, liars: [first, ...others.filter(({ seat }) => seat > 0)] }
  }
  const liars = plan.liars.map((liar) => {
    const isAboutEpochs = liar.how === 'acts' && random.chance(0.6)
    return isAboutEpochs ? { ...liar, acts: [...new Set([...liar.acts, random.pick(epochFaults)])] } : liar
  })
  return { ...plan, liars, changes }
}

/** Before more than f of the new members part the others, or while they do: then the branches of the fork are of different epochs. */
function overChanges(random: Random): ChangePlan[] {
  const isFirst = random.chance(0.5)
  const change = (at: number): ChangePlan => ({
    ...{ at, kind: random.pick(['swap', 'rotate', 'renew']), isLate: random.chance(0.4) },
    ...{ isContested: !isFirst && random.chance(0.5), during: isFirst ? 'nothing' : 'partition' },
  })
  return isFirst ? [change(100), ...(random.chance(0.3) ? [change(600)] : [])] : [change(random.between(100, 1000))]
}

/** Of one who joins. */
export function comingLiar(random: Random, seat: number): LiarPlan {
  return { seat, how: 'acts', acts: [...new Set([random.pick(memberActs), random.pick(epochFaults)])] }
}

/** Faults that chance seldom gives an occasion for. */
function rare(random: Random, plan: BftPlan): BftPlan | undefined {
  const draw = random.next()
  if (plan.liars.length === 0 || draw > 0.08) return undefined
  if (draw < 0.03) return { ...plan, members: 4, partitions: 0, liars: [{ seat: 0, how: 'acts', acts: ['F1'] }] }
  // Whoever leads next gets term votes that differ, from more members than it needs: much is under way, and arrives late.
  const weather = { drop: 0.35, delay: 400, partitions: 0, roundFaults: 0.1, window: 8, clients: 3 }
  const liars: LiarPlan[] = [{ seat: random.below(4), how: 'acts', acts: ['F8'] }]
  return { ...plan, ...weather, members: 4, liars, requests: 25, mallories: [], checkpointEntries: 0 }
}

function liar(random: Random, seat: number, isOver: boolean): LiarPlan {
  const twins = { seat, how: 'twins' as const, acts: [] }
  if (isOver) return twins
  const draw = random.next()
  if (draw < 0.12) return twins
  if (draw < 0.17) return { seat, how: 'rollback', acts: [] }
  if (draw < 0.22) return { seat, how: 'twist', acts: [] }
  if (draw < 0.38) return { seat, how: 'mutations', acts: [] }
  const acts = random.shuffle(memberActs).slice(0, 1 + random.below(3))
  return { seat, how: 'acts', acts }
}
