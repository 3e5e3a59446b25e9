import { setTimeout as pause } from 'node:timers/promises'
import { exchange } from '@raftkit/app-kv'
import type { Cluster } from '../cluster/cluster.ts'
import type { Member } from '../cluster/member.ts'
import type { Fault } from './fault.ts'

/** Milliseconds for one change; other faults go on meanwhile. */
const changeWithin = 12_000

export const transfer: Fault = async (cluster, { draws }) => {
  const { leader } = cluster
  const to = cluster.followers().filter(({ id }) => cluster.roster.includes(id))
  if (!leader || to.length === 0) return
  const body = { to: draws.pick(to).id }
  const answer = await exchange(leader.endpoint, { method: 'POST', path: '/v1/transfer', body }, 5_000).catch(
    () => undefined,
  )
  return answer?.status === 200 ? `${leader.id} handed over to ${body.to}` : undefined
}

export const snapshot: Fault = async (cluster) => {
  const answers = await Promise.all(
    cluster.current.map(async ({ id, endpoint }) => {
      const answer = await exchange(endpoint, { method: 'POST', path: '/v1/snapshot' }, 5_000).catch(() => undefined)
      return answer?.status === 200 ? [id] : []
    }),
  )
  const taken = answers.flat()
  return taken.length > 0 ? `snapshots on ${taken.join(', ')}` : undefined
}

export const add: Fault = async (cluster) => {
  const spare = await spareOf(cluster)
  if (!spare) return
  spare.start()
  const body = { id: spare.id, address: spare.process.plan.address }
  if (!(await change(cluster, { method: 'POST', path: '/v1/members', body }, spare))) return
  cluster.roster = [...cluster.roster, spare.id]
  return `${spare.id} was added`
}

/** The leader, too. */
export const remove: Fault = async (cluster, { draws }) => {
  if (!(await settled(cluster)) || cluster.roster.length <= cluster.size) return
  const leaver = draws.pick(cluster.current)
  const leads = leaver === cluster.leader ? ', which led' : ''
  if (!(await change(cluster, { method: 'DELETE', path: `/v1/members/${leaver.id}` }, leaver))) return
  await retire(cluster, leaver)
  return `${leaver.id}${leads}, was removed`
}

export const replace: Fault = async (cluster, { draws }) => {
  const spare = await spareOf(cluster)
  if (!spare) return
  const leaver = draws.pick(cluster.current)
  spare.start()
  const body = { id: spare.id, address: spare.process.plan.address, replaces: leaver.id }
  if (!(await change(cluster, { method: 'POST', path: '/v1/members', body }, leaver))) return
  cluster.roster = [...cluster.roster, spare.id]
  await retire(cluster, leaver)
  return `${spare.id} came in the place of ${leaver.id}`
}

/** A disk is lost for good, and the member comes back under the same name as another incarnation. */
export const wipe: Fault = async (cluster, { draws }) => {
  if (!(await settled(cluster))) return
  const member = draws.pick(cluster.current)
  await member.down()
  member.wipe()
  member.start()
  const done = await readmit(cluster, member)
  return `${member.id} lost its disk${done ? ' and came back as another incarnation' : ''}`
}

async function readmit(cluster: Cluster, member: Member): Promise<boolean> {
  const body = { id: member.id, address: member.process.plan.address, replaces: member.id }
  return change(cluster, { method: 'POST', path: '/v1/members', body }, member)
}

async function change(cluster: Cluster, call: Parameters<Cluster['ask']>[0], about: Member): Promise<boolean> {
  const answer = await cluster.ask(call, { within: changeWithin, except: about })
  return answer.status === 200
}

/** It is out: its process ends, its disk is given to another incarnation. */
async function retire(cluster: Cluster, member: Member): Promise<void> {
  cluster.roster = cluster.roster.filter((id) => id !== member.id)
  await member.down()
  member.wipe()
}

async function spareOf(cluster: Cluster): Promise<Member | undefined> {
  if (!(await settled(cluster))) return
  return cluster.members.find(({ id }) => !cluster.roster.includes(id))
}

/**
 * What earlier changes left behind, those that were given up included, is put in order: one change at a time, and never is a second
 * disk wiped before the first has been made up for. False if that does not come about now.
 */
export async function settled(cluster: Cluster, within = 6_000): Promise<boolean> {
  const deadline = performance.now() + within
  do {
    const config = await cluster.configuration(deadline - performance.now())
    if (config === undefined) return false
    const ids = [...new Set(config.map(({ id }) => id))]
    const unfinished = config.filter(({ role }) => role === 'joining' || role === 'learner')
    const inPassing = config.some(({ role }) => role !== 'voter')
    const forgetful = config.find(
      ({ id, role, incarnation }) =>
        role === 'voter' &&
        cluster.members.some(({ id: other, view }) => other === id && view && view.incarnation !== incarnation),
    )
    if (!inPassing && forgetful === undefined) {
      cluster.roster = ids
      for (const member of cluster.members) {
        if (ids.includes(member.id) || !member.wanted) continue
        await member.down()
        member.wipe()
      }
      return true
    }
    if (unfinished.length > 0) {
      // Called off, or else a newcomer that is gone would be waited for without end.
      await cluster.ask({ method: 'DELETE', path: `/v1/members/${unfinished[0]!.id}` }, { within: 2_000 })
    } else if (forgetful !== undefined && !inPassing) {
      await readmit(cluster, cluster.members.find(({ id }) => id === forgetful.id)!)
    }
    await pause(200)
  } while (performance.now() < deadline)
  return false
}
