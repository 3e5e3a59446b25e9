import type { Cluster } from '../cluster/cluster.ts'
import type { Member } from '../cluster/member.ts'
import { backWithin, type Fault, type Lasting } from './fault.ts'

/** Whose disk works: it can start again. */
const running = (cluster: Cluster): Member[] =>
  cluster.current.filter(({ process, paused }) => process.running && !paused)

const named = (members: readonly Member[]): string => members.map(({ id }) => id).join(', ')

async function kill(members: readonly Member[]): Promise<string> {
  await Promise.all(members.map((member) => member.kill()))
  // Who keeps a member starts it again after a moment.
  await Promise.all(members.map((member) => member.answers(backWithin)))
  return `SIGKILL to ${named(members)}`
}

async function pauseFor(members: readonly Member[], milliseconds: number, lasting: Lasting): Promise<string> {
  for (const member of members) member.pause()
  await lasting(milliseconds)
  for (const member of members) member.resume()
  return `SIGSTOP to ${named(members)} for ${milliseconds} ms`
}

const majority = (cluster: Cluster): number => Math.floor(cluster.current.length / 2) + 1

export const killLeader: Fault = async (cluster) => {
  const { leader } = cluster
  return leader && kill([leader])
}

export const killFollower: Fault = async (cluster, { draws }) => {
  const followers = cluster.followers()
  return followers.length > 0 ? kill([draws.pick(followers)]) : undefined
}

export const killMajority: Fault = async (cluster, { draws }) => {
  const members = draws.shuffled(running(cluster)).slice(0, majority(cluster))
  return members.length > 1 ? kill(members) : undefined
}

/** All processes end at the same moment, and start at the same moment. */
export const killAll: Fault = async (cluster) => {
  const members = running(cluster)
  return members.length > 1 ? kill(members) : undefined
}

/** As an operator restarts it: SIGTERM, hand-over, start. */
export const restartLeader: Fault = async (cluster) => {
  const { leader } = cluster
  if (!leader) return
  await leader.down({ gently: true })
  leader.start()
  await leader.answers(backWithin)
  return `SIGTERM to ${leader.id}`
}

export const pauseLeader: Fault = async (cluster, { lasts }, lasting) => {
  const { leader } = cluster
  return leader && pauseFor([leader], lasts, lasting)
}

export const pauseFollower: Fault = async (cluster, { draws, lasts }, lasting) => {
  const followers = cluster.followers()
  return followers.length > 0 ? pauseFor([draws.pick(followers)], lasts, lasting) : undefined
}

export const pauseMajority: Fault = async (cluster, { draws, lasts }, lasting) => {
  const members = draws.shuffled(running(cluster)).slice(0, majority(cluster))
  return members.length > 1 ? pauseFor(members, lasts, lasting) : undefined
}
