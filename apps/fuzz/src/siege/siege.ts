import { type ChildProcess, fork } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { exchange, freePorts, hangUp, MemberProcess } from '@raftkit/app-kv'
import type { Strength, Target } from './attacks.ts'

export interface SiegeOptions {
  readonly seconds: number
  readonly connections: number
  readonly transport: string
}

/** Of all processes that attack: silent ones are most. */
const plan = (connections: number) => ({
  silent: { count: connections, perSecond: 2500 },
  drip: { count: 100, perSecond: 50 },
  length: { count: 50, perSecond: 50 },
  frames: { count: 10, perSecond: 20 },
  endless: { count: 10, perSecond: 20 },
  oversized: { count: 5, perSecond: 5 },
})

const attackers = 2

interface Phase {
  puts: number
  gets: number
  failed: number
  seconds: number
}

/** A cluster of three processes goes on serving while its ports are besieged. */
export async function siege({ seconds, connections, transport }: SiegeOptions): Promise<never> {
  const directory = join('.tmp', 'siege')
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  const ports = await freePorts(6)
  const founders = Object.fromEntries([0, 1, 2].map((i) => [`n${i + 1}`, `127.0.0.1:${ports[i]}`]))
  const members = [0, 1, 2].map(
    (i) =>
      new MemberProcess({
        id: `n${i + 1}`,
        address: `127.0.0.1:${ports[i]}`,
        httpPort: ports[i + 3]!,
        directory: join(directory, `n${i + 1}`),
        founders,
        flags: ['--transport', transport],
      }),
  )
  const children: ChildProcess[] = []
  const say = (line: string): void => console.error(line)
  try {
    await Promise.all(members.map((member) => member.start()))
    await serving(members)
    const before = await serve(members, Math.min(5, seconds))
    const [terms, calm] = [await termsOf(members), members.map(({ pid }) => residentOf(pid!))]
    say(
      `before: ${rate(before)} operations a second, terms ${terms.join(' ')}, resident MiB ${calm.map(mebibytes).join(' ')}`,
    )

    const targets: Target[] = [
      ...ports.slice(0, 3).map((port) => ({ kind: 'peer' as const, port })),
      ...ports.slice(3).map((port) => ({ kind: 'http' as const, port })),
    ]
    const strengths: Record<string, Strength>[] = []
    const most = { open: 0, held: 0 }
    for (let i = 0; i < attackers; i++) {
      const child = fork(new URL('./attacker.js', import.meta.url), [
        JSON.stringify({ targets, plan: plan(Math.ceil(connections / attackers)) }),
      ])
      child.on('message', (strength) => {
        strengths[i] = strength as Record<string, Strength>
        const open = strengths.flatMap((all) => Object.values(all)).reduce((sum, { open }) => sum + open, 0)
        most.open = Math.max(most.open, open)
      })
      children.push(child)
    }
    let peak = calm
    const watch = setInterval(() => {
      peak = peak.map((was, i) => Math.max(was, residentOf(members[i]!.pid!)))
      const held = members.reduce((sum, { pid }) => sum + filesOf(pid!), 0)
      most.held = Math.max(most.held, held)
    }, 500)
    const during = await serve(members, seconds)
    clearInterval(watch)
    const after = await termsOf(members)
    const total = (field: keyof Strength): number =>
      strengths.flatMap((all) => Object.values(all)).reduce((sum, strength) => sum + strength[field], 0)
    say(
      `during: ${rate(during)} operations a second, ${during.failed} failed, terms ${after.join(' ')}, resident MiB at most ${peak.map(mebibytes).join(' ')}`,
    )
    const result = {
      transport,
      seconds,
      asked: connections,
      fileLimit: fileLimit(),
      attempted: total('opened') + total('refused'),
      accepted: total('opened'),
      cut: total('cut'),
      openAtOnceByAttackers: most.open,
      heldAtOnceByMembers: most.held,
      operationsPerSecondBefore: rate(before),
      operationsPerSecondDuring: rate(during),
      puts: during.puts,
      gets: during.gets,
      failed: during.failed,
      elections: Math.max(...after) - Math.max(...terms),
      residentMiBBefore: calm.map(mebibytes),
      residentMiBPeak: peak.map(mebibytes),
      membersAlive: members.filter(({ running }) => running).length,
    }
    const wrong =
      during.puts === 0 ||
      during.gets === 0 ||
      result.membersAlive < 3 ||
      result.elections > 0 ||
      peak.some((bytes, i) => bytes > calm[i]! + 512 * 2 ** 20)
    console.log(JSON.stringify(result))
    process.exitCode = wrong ? 1 : 0
  } finally {
    for (const child of children) child.disconnect()
    hangUp()
    await Promise.all(members.map((member) => member.kill()))
  }
  process.exit()
}

const rate = ({ puts, gets, seconds }: Phase): number => Math.round((puts + gets) / seconds)
const mebibytes = (bytes: number): number => Math.round(bytes / 2 ** 20)

/** Four clients, one operation open each, on connections that were made before the siege. */
async function serve(members: readonly MemberProcess[], seconds: number): Promise<Phase> {
  const phase: Phase = { puts: 0, gets: 0, failed: 0, seconds }
  const end = performance.now() + seconds * 1000
  await Promise.all(
    [0, 1, 2, 3].map(async (client) => {
      for (let i = 0; performance.now() < end; i++) {
        const member = members[(client + i) % members.length]!
        const path = `/v1/kv/client-${client}`
        const call =
          i % 2 === 0 ? { method: 'PUT' as const, path, body: { value: String(i) } } : { method: 'GET' as const, path }
        const status = await exchange(member.endpoint, call, 5000).then(
          ({ status }) => status,
          () => 0,
        )
        if (status !== 200) phase.failed++
        else if (call.method === 'PUT') phase.puts++
        else phase.gets++
      }
    }),
  )
  return phase
}

async function serving(members: readonly MemberProcess[]): Promise<void> {
  for (const { endpoint } of members)
    for (;;) {
      const ready = await exchange(endpoint, { method: 'GET', path: '/readyz' }, 5000).catch(() => undefined)
      if (ready?.status === 200) break
      await pause(50)
    }
}

const termsOf = (members: readonly MemberProcess[]): Promise<number[]> =>
  Promise.all(
    members.map(async ({ endpoint }) => {
      const answer = await exchange(endpoint, { method: 'GET', path: '/v1/status' }, 10_000).catch(() => undefined)
      return (answer?.body as { term?: number } | undefined)?.term ?? -1
    }),
  )

const residentOf = (pid: number): number => 1024 * Number(/VmRSS:\s+(\d+)/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0)
const fileLimit = (): number => Number(/Max open files\s+(\d+)/.exec(read('/proc/self/limits'))?.[1] ?? 0)

/** Files that the process has open: its sockets, and a few dozen of its own. */
function filesOf(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length
  } catch {
    return 0
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
