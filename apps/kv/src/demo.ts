import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { adapterFlags, adapterOptions, adapterUsage } from './local/adapter-flags.ts'
import { DemoCluster } from './local/demo-cluster.ts'
import { Writers } from './local/demo-writers.ts'
import type { MemberProcess } from './local/member-process.ts'
import { rehearsal } from './local/rehearsal.ts'
import { judge } from './local/verdict.ts'

// Three members are written to by several clients while their leaders are killed, a member joins, one leaves and one is wiped.
// Then everything that was acknowledged is looked for, on every member.

const load = { writers: 2, lanes: 16, keys: 256 }
/** Acknowledgements between one kill of a leader and the next; on a slow machine fewer, after so many milliseconds. */
const betweenKills = { atLeast: 300, wanted: 8_000, milliseconds: 8_000 }
const enough = 6_000
const limit = 90_000

const started = performance.now()
const say = (line: string) => console.log(`${((performance.now() - started) / 1000).toFixed(1).padStart(5)} s  ${line}`)

const chosen = readAdapters()
const directory = await mkdtemp(join(tmpdir(), 'raftkit-demo-'))
const cluster = await DemoCluster.plan(directory, ['n1', 'n2', 'n3', 'n4'], chosen)
let writers: Writers | undefined

async function endAll(): Promise<void> {
  writers?.kill()
  await Promise.all(cluster.members.map((member) => member.kill()))
}
const running = rehearsal({ directory, limit }, endAll, say)

/** Resolves when the writers have so many more acknowledgements than `since`. */
async function progress(count: number, since = writers!.acknowledged): Promise<void> {
  while (writers!.acknowledged < since + count) await pause(20)
}

const kills: number[] = []
async function killLeader(): Promise<void> {
  const since = kills.at(-1) ?? 0
  await progress(betweenKills.atLeast, since)
  await Promise.race([progress(betweenKills.wanted, since), pause(betweenKills.milliseconds)])
  const leader = await cluster.leader()
  const at = writers!.acknowledged
  await leader.member.kill()
  kills.push(at)
  say(`killed ${leader.member.id}, which led term ${leader.view.term}, after ${at} acknowledgements`)
  const next = await cluster.leader({ after: leader.view.term })
  await progress(200)
  say(`${next.member.id} leads term ${next.view.term}, writes go on`)
  await leader.member.start()
  await cluster.untilReady(leader.member)
  say(`${leader.member.id} is back and has caught up`)
}

try {
  const [n1, n2, n3, n4] = cluster.members as [MemberProcess, MemberProcess, MemberProcess, MemberProcess]
  say(
    `starting n1, n2, n3: processes of their own ${[...chosen.adapters, ...(chosen.tls ? ['--tls'] : [])].join(' ')}`.trimEnd(),
  )
  await Promise.all([n1, n2, n3].map((member) => member.start()))
  await cluster.leader()
  writers = new Writers(
    directory,
    cluster.members.map(({ endpoint }) => endpoint),
    load,
    cluster.credentials,
  )
  say(
    `${load.writers} client processes append unique items to ${load.keys} shared keys, ${load.lanes} requests in flight each`,
  )

  await killLeader()

  const changes: string[] = []
  await n4.start()
  await cluster.change(n4, { method: 'POST', path: '/v1/members', body: { id: n4.id, address: n4.plan.address } })
  changes.push('n4 joined')
  await cluster.untilReady(n4)
  say('n4 joined by joint consensus, under load')

  await killLeader()

  const leaver = await cluster.follower([n1, n2, n3])
  await cluster.untilCompacted(leaver)
  await cluster.change(leaver, { method: 'DELETE', path: `/v1/members/${leaver.id}` })
  changes.push(`${leaver.id} left`)
  await leaver.stop()
  cluster.retire(leaver)
  say(`${leaver.id} left the cluster`)

  const wiped = await cluster.follower([n1, n2, n3].filter((member) => member !== leaver))
  const before = (await cluster.view(wiped))!.incarnation
  await wiped.kill()
  await rm(wiped.store, { recursive: true })
  await wiped.start({ join: true })
  await cluster.change(wiped, {
    method: 'POST',
    path: '/v1/members',
    body: { id: wiped.id, address: wiped.plan.address, replaces: wiped.id },
  })
  changes.push(`${wiped.id} was replaced`)
  await cluster.untilReady(wiped)
  const after = (await cluster.view(wiped))!.incarnation
  if (before === after) throw new Error(`${wiped.id} was wiped and has the incarnation it had before`)
  say(
    `${wiped.id} lost its disk and came back as incarnation ${after.slice(0, 8)}, before it was ${before.slice(0, 8)}`,
  )

  await killLeader()
  await killLeader()
  for (const member of cluster.current) await cluster.untilCompacted(member)
  await progress(enough, 0)

  const { acknowledged, unknown, refused } = await writers.finish()
  say(`writers are done: ${acknowledged.length} acknowledged, ${unknown.length} unknown, ${refused} refused`)

  const found = new Map<string, string[]>()
  for (const member of cluster.current) {
    found.set(member.id, await readAll(member))
    say(`${member.id} holds ${found.get(member.id)!.length} items by a linearizable read`)
  }
  const verdict = judge({ acknowledged: new Set(acknowledged), unknown: new Set(unknown), found })
  const hashes = await cluster.hashes()
  const stateHashesEqual = new Set(hashes.map(({ hash }) => hash)).size === 1
  const members = await Promise.all(
    hashes.map(async ({ id, index, hash }) => {
      const { incarnation, first, last, snapshot } = (await cluster.view(cluster.current.find((m) => m.id === id)!))!
      return { id, incarnation, first, last, snapshot: snapshot?.index ?? 0, index, hash }
    }),
  )
  say(`state hashes at index ${hashes[0]!.index} are ${stateHashesEqual ? 'equal' : 'NOT equal'}`)

  const apart = kills.every((at, n) => at - (kills[n - 1] ?? 0) >= 200)
  const share = unknown.length / (acknowledged.length + unknown.length)
  const wrong = [
    ...Object.entries(verdict).flatMap(([what, count]) => (count > 0 ? [`${count} items ${what}`] : [])),
    ...(acknowledged.length < 5_000 ? ['fewer than 5,000 acknowledgements'] : []),
    ...(share > 0.02 ? [`${(share * 100).toFixed(1)} % unknown, more than 2 %`] : []),
    ...(kills.length < 3 || !apart ? ['fewer than three kills of a leader, 200 acknowledgements apart'] : []),
    ...(members.some(({ first }) => first <= 1) ? ['a member whose log was never compacted'] : []),
    ...(stateHashesEqual ? [] : ['members whose states differ']),
  ]
  running.done()
  await Promise.all(cluster.members.map((member) => member.stop()))
  if (wrong.length === 0) await rm(directory, { recursive: true })
  else say(`WRONG: ${wrong.join('; ')}. What the members hold is kept in ${directory}`)
  console.log(
    JSON.stringify({
      acknowledged: acknowledged.length,
      lost: verdict.lost,
      duplicated: verdict.duplicated,
      unknown: unknown.length,
      leaderKills: kills.length,
      membershipChanges: changes.length,
      snapshots: cluster.snapshots,
      members,
      stateHashesEqual,
    }),
  )
  process.exit(wrong.length === 0 ? 0 : 1)
} catch (error) {
  if (!running.interrupted) {
    say(`failed: ${(error as Error).stack}\nWhat the members hold is kept in ${directory}`)
    await endAll()
    process.exit(1)
  }
}

function readAdapters(): { adapters: string[]; tls: boolean } {
  try {
    const { values } = parseArgs({ options: adapterOptions })
    return { adapters: adapterFlags(values), tls: values.tls }
  } catch (error) {
    console.error(`${(error as Error).message}\nusage: demo ${adapterUsage}`)
    process.exit(2)
  }
}

/** Every item on one member, by linearizable reads through it. */
async function readAll({ endpoint }: MemberProcess): Promise<string[]> {
  const client = cluster.client([endpoint], 20_000)
  const items: string[] = []
  let after: string | null = null
  do {
    const query = new URLSearchParams({ prefix: 'demo/', limit: '1000', ...(after !== null && { after }) })
    const page = (await client.get(`/v1/kv?${query}`)) as { entries: { value: string }[]; next: string | null }
    for (const { value } of page.entries) items.push(...value.split(';').filter((item) => item !== ''))
    after = page.next
  } while (after !== null)
  return items
}
