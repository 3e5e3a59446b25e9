import type { NodeId } from '@raftkit/contract'
import type { networkKinds } from './kinds.ts'
import { type Deed, later, type Stage } from './stage.ts'

/** Those that take part in the network: members, and newcomers. */
const present = ({ run }: Stage): NodeId[] => run.servers.filter(({ boots }) => boots > 0).map(({ id }) => id)

function cutFor(stage: Stage, links: readonly (readonly [NodeId, NodeId])[]): void {
  const { network } = stage.world
  for (const [from, to] of links) network.cut(from, to)
  later(stage, () => {
    for (const [from, to] of links) network.mend(from, to)
  })
}

/** All links between two groups, both ways. */
function between(one: readonly NodeId[], other: readonly NodeId[]): [NodeId, NodeId][] {
  return one.flatMap((a) =>
    other.flatMap((b): [NodeId, NodeId][] => [
      [a, b],
      [b, a],
    ]),
  )
}

export const networkActs: Readonly<Record<(typeof networkKinds)[number], Deed>> = {
  /** One link, one way. */
  cut(stage) {
    const [from, to] = stage.random.shuffle(present(stage))
    if (from === undefined || to === undefined) return undefined
    cutFor(stage, [[from, to]])
    return { from, to }
  },
  /** Two halves, of any sizes. */
  partition(stage) {
    const ids = stage.random.shuffle(present(stage))
    if (ids.length < 2) return undefined
    const size = 1 + stage.random.below(ids.length - 1)
    cutFor(stage, between(ids.slice(0, size), ids.slice(size)))
    return { one: ids.slice(0, size) }
  },
  /** Everybody hears two neighbours: no server reaches a majority of five, though all are connected. */
  ring(stage) {
    const ids = stage.random.shuffle(present(stage))
    if (ids.length < 4) return undefined
    const apart = ids.flatMap((a, i) =>
      ids.slice(i + 1).flatMap((b, j) => (j === 0 || j === ids.length - 2 ? [] : between([a], [b]))),
    )
    cutFor(stage, apart)
    return { ring: ids }
  },
  /** Two halves with one server that hears both. */
  bridge(stage) {
    const [bridge, ...ids] = stage.random.shuffle(present(stage))
    if (ids.length < 2) return undefined
    const half = Math.ceil(ids.length / 2)
    cutFor(stage, between(ids.slice(0, half), ids.slice(half)))
    return { bridge }
  },
  'isolate-leader'(stage) {
    const leader = stage.world.leader?.id
    if (leader === undefined) return undefined
    // Sometimes with one companion, so that its side is no majority but not empty.
    const others = stage.random.shuffle(present(stage).filter((id) => id !== leader))
    if (others.length === 0) return undefined
    const side = others.length > 2 && stage.random.chance(0.5) ? [leader, others.shift()!] : [leader]
    cutFor(stage, between(side, others))
    return { side }
  },
  /** The leader is heard by all and hears nobody, or the other way round. */
  'deafen-leader'(stage) {
    const leader = stage.world.leader?.id
    const others = present(stage).filter((id) => id !== leader)
    if (leader === undefined || others.length === 0) return undefined
    const mute = stage.random.chance(0.5)
    cutFor(
      stage,
      others.map((id): [NodeId, NodeId] => (mute ? [leader, id] : [id, leader])),
    )
    return { leader, mute }
  },
  /** Links of some servers go one by one, and come back one by one in another order (FoundationDB's swizzle-clog). */
  swizzle(stage) {
    const { world, random, lasts } = stage
    const ids = random.shuffle(present(stage))
    if (ids.length < 2) return undefined
    const some = ids.slice(0, 1 + random.below(ids.length))
    const all = (id: NodeId): [NodeId, NodeId][] =>
      between(
        [id],
        ids.filter((other) => other !== id),
      )
    const moments = (): number[] => some.map(() => random.between(0, lasts / 2)).sort((a, b) => a - b)
    const cuts = moments()
    some.forEach((id, i) => {
      later({ ...stage, lasts: cuts[i]! }, () => {
        for (const [from, to] of all(id)) world.network.cut(from, to)
      })
    })
    const mends = moments()
    random.shuffle(some).forEach((id, i) => {
      later({ ...stage, lasts: lasts / 2 + mends[i]! }, () => {
        for (const [from, to] of all(id)) world.network.mend(from, to)
      })
    })
    return { servers: some }
  },
  /** For a while, much is lost, late and out of order. */
  storm(stage) {
    const { world, run, random } = stage
    const late = run.plan.node.timing.electionTimeout! * random.between(0.05, 1)
    world.network.setWeather({ loss: random.between(0.1, 0.6), reorder: 0.5, duplicate: 0.2, delay: [0, late] })
    later(stage, () => run.usualWeather())
    return { late }
  },
  /** Little bandwidth. */
  trickle(stage) {
    const { world, run, random } = stage
    world.network.setWeather({ bytesPerMs: random.pick([2, 20, 200]) })
    later(stage, () => run.usualWeather())
    return {}
  },
  /** A connection breaks and is dialled again. */
  reset(stage) {
    const [a, b] = stage.random.shuffle(present(stage))
    if (a === undefined || b === undefined) return undefined
    stage.world.network.reset(a, b)
    return { a, b }
  },
}
