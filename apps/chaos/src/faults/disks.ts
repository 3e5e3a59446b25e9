import type { Cluster } from '../cluster/cluster.ts'
import type { Member } from '../cluster/member.ts'
import type { Random } from '../random.ts'
import { type DiskFault, healthy } from '../storage/disk.ts'
import { backWithin, type Fault, type Lasting } from './fault.ts'

/** The leader half of the time. */
function victim(cluster: Cluster, draws: Random): Member | undefined {
  const followers = cluster.followers()
  const leads = draws.chance(0.5)
  if (leads && cluster.leader) return cluster.leader
  return followers.length > 0 ? draws.pick(followers) : undefined
}

async function on(member: Member, fault: DiskFault, lasting: Promise<void>): Promise<void> {
  member.disk = fault
  await lasting
  member.disk = healthy
}

export const slowDisk: Fault = async (cluster, { draws, lasts }, lasting) => {
  const member = victim(cluster, draws)
  if (!member) return
  const milliseconds = draws.between(10, 400)
  await on(member, { kind: 'slow', milliseconds }, lasting(lasts))
  return `every flush of ${member.id} takes ${milliseconds} ms longer`
}

export const stuckDisk: Fault = async (cluster, { draws, lasts }, lasting) => {
  const member = victim(cluster, draws)
  if (!member) return
  await on(member, { kind: 'stuck' }, lasting(lasts * 2))
  return `no flush of ${member.id} ends for ${lasts * 2} ms`
}

/** A file system that is really full where one could be mounted; else writes that wait as if it were. */
export const fullDisk: Fault = async (cluster, { draws, lasts }, lasting) => {
  const small = cluster.current.filter((member) => cluster.disks.has(member) && member.process.running)
  if (small.length === 0) {
    const member = cluster.disks.size === 0 ? victim(cluster, draws) : undefined
    if (!member) return
    await on(member, { kind: 'full' }, lasting(lasts))
    return `no room for the writes of ${member.id} (played: no file system could be mounted)`
  }
  const member = small.find((each) => each === cluster.leader) ?? draws.pick(small)
  const disk = cluster.disks.get(member)!
  // Sometimes it dies meanwhile: to start on a full disk is another thing than to go on with one.
  const dies = draws.chance(0.3)
  member.diskFails()
  disk.fill()
  await refillFor(lasts / 2, () => disk.fill(), lasting)
  if (dies) await member.kill()
  await refillFor(lasts / 2, () => disk.fill(), lasting)
  disk.free()
  member.diskWorks()
  await member.answers(backWithin)
  return `the file system of ${member.id} is full${dies ? ', and it dies' : ''}`
}

/** LevelDB gives back room now and then, by its compactions. */
async function refillFor(milliseconds: number, fill: () => void, lasting: Lasting): Promise<void> {
  for (let left = milliseconds; left > 0; left -= 100) {
    await lasting(Math.min(left, 100))
    fill()
  }
}

/** The member must end, without an answer to what was not written, and start again from what the disk holds. */
export const flushError: Fault = async (cluster, { draws }, lasting) => {
  const member = victim(cluster, draws)
  if (!member) return
  const when = draws.pick(['before', 'after'] as const)
  const ended = member.process.ended.then(() => true)
  member.disk = { kind: 'failing', when }
  const ends = await Promise.race([ended, lasting(backWithin).then(() => false)])
  member.disk = healthy
  if (!ends) return
  await member.answers(backWithin)
  return `a flush of ${member.id} failed, ${when} it wrote; it ended`
}
