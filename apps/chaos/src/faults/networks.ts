import type { Cluster } from '../cluster/cluster.ts'
import type { Way } from '../network/network.ts'
import type { Weather } from '../network/pipe.ts'
import type { Random } from '../random.ts'
import type { Fault, Lasting } from './fault.ts'

/** Every way between two of the network, spares included. */
function ways(cluster: Cluster): Way[] {
  const { members } = cluster.network
  return members.flatMap((from) => members.filter((to) => to !== from).map((to) => [from, to] as const))
}

async function weather(
  { network }: Cluster,
  on: readonly Way[],
  now: Weather,
  lasting: Promise<void>,
  what: string,
): Promise<string> {
  network.change(on, now)
  await lasting
  network.change(on, undefined)
  return `${what}: ${on.map(([from, to]) => `${from}>${to}`).join(' ')}`
}

/**
 * Nothing passes these ways for a while. Half of the time connections live through it and deliver late what was sent, as TCP does
 * after a short outage; else they are reset when it begins.
 */
async function block(
  cluster: Cluster,
  on: readonly Way[],
  { lasts, draws }: { lasts: number; draws: Random },
  lasting: Lasting,
  what: string,
): Promise<string> {
  const reset = draws.chance(0.5)
  const done = weather(cluster, on, { held: true }, lasting(lasts), `${what}${reset ? ', reset' : ''}`)
  if (reset) cluster.network.reset(on)
  return done
}

const bothWays = (on: readonly Way[]): Way[] => on.flatMap(([from, to]) => [[from, to] as const, [to, from] as const])

/** The leader sends and nobody hears it; it hears all. */
export const muteLeader: Fault = async (cluster, planned, lasting) => {
  const id = cluster.leader?.id
  if (id === undefined) return
  return block(
    cluster,
    ways(cluster).filter(([from]) => from === id),
    planned,
    lasting,
    'nobody hears the leader',
  )
}

/** The leader is heard and hears nobody: CheckQuorum must end it. */
export const deafenLeader: Fault = async (cluster, planned, lasting) => {
  const id = cluster.leader?.id
  if (id === undefined) return
  return block(
    cluster,
    ways(cluster).filter(([, to]) => to === id),
    planned,
    lasting,
    'the leader hears nobody',
  )
}

export const oneWay: Fault = (cluster, planned, lasting) => {
  const all = planned.draws.shuffled(ways(cluster))
  return block(cluster, all.slice(0, planned.draws.between(1, all.length / 3)), planned, lasting, 'one way only')
}

/** Connections with the leader are refused, in both directions. */
export const isolateLeader: Fault = async (cluster, { lasts }, lasting) => {
  const id = cluster.leader?.id
  if (id === undefined) return
  const on = ways(cluster).filter((way) => way.includes(id))
  cluster.network.cut(on)
  await lasting(lasts)
  cluster.network.mend(on)
  return `${id}, the leader, is cut off`
}

/** Two halves that do not hear each other. */
export const split: Fault = (cluster, planned, lasting) => {
  const order = planned.draws.shuffled(cluster.network.members)
  const half = new Set(order.slice(0, planned.draws.between(1, Math.floor(order.length / 2))))
  const between = ways(cluster).filter(([from, to]) => half.has(from) !== half.has(to))
  return block(cluster, between, planned, lasting, 'split')
}

/** Two halves that one member still talks with: no leader has all, and each half has a majority with it. */
export const bridge: Fault = (cluster, planned, lasting) => {
  const [, ...others] = planned.draws.shuffled(cluster.network.members)
  const half = new Set(others.slice(0, others.length / 2))
  const rest = others.filter((id) => !half.has(id))
  const between = bothWays([...half].flatMap((from) => rest.map((to) => [from, to] as const)))
  return block(cluster, between, planned, lasting, 'bridge')
}

export const delay: Fault = (cluster, { lasts, draws }, lasting) => {
  const all = draws.shuffled(ways(cluster))
  const on = all.slice(0, draws.between(1, all.length))
  const now = { delay: draws.between(5, 150), jitter: draws.between(0, 150) }
  return weather(cluster, on, now, lasting(lasts), `late by ${now.delay} to ${now.delay + now.jitter} ms`)
}

export const loss: Fault = (cluster, { lasts, draws }, lasting) => {
  const all = draws.shuffled(ways(cluster))
  const on = all.slice(0, draws.between(1, all.length))
  const now = { loss: 0.02 + draws.next() * 0.2, resend: draws.between(100, 400) }
  const share = Math.round(now.loss * 100)
  return weather(cluster, on, now, lasting(lasts), `${share} % of all chunks ${now.resend} ms late`)
}

export const reset: Fault = async (cluster, { draws }) => {
  const all = draws.shuffled(ways(cluster))
  const count = cluster.network.reset(all.slice(0, draws.between(1, all.length)))
  return count > 0 ? `${count} connections reset` : undefined
}
