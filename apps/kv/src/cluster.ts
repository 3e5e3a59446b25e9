import { join, relative } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { MemberView } from './client/cluster-commands.ts'
import { table } from './client/table.ts'
import { adapterFlags, adapterOptions, adapterUsage } from './local/adapter-flags.ts'
import { development } from './local/development.ts'
import { isFree, MemberProcess } from './local/member-process.ts'

// A cluster to play with: three members as processes on this machine, kept until Ctrl-C.

const usage = `usage: cluster [--base-port 8000] [--data ./data/local] ${adapterUsage}
HTTP is served on the three ports after the base port, Raft on those a hundred above.`

interface Arguments {
  readonly basePort: number
  readonly data: string
  readonly tls: boolean
  readonly flags: readonly string[]
}

function readArguments(): Arguments {
  try {
    const { values } = parseArgs({
      options: {
        'base-port': { type: 'string', default: '8000' },
        data: { type: 'string', default: './data/local' },
        ...adapterOptions,
      },
    })
    const basePort = Number(values['base-port'])
    if (!Number.isInteger(basePort) || basePort < 1 || basePort > 65_000) throw new Error('--base-port is 1 to 65000')
    return { basePort, data: values.data, tls: values.tls, flags: adapterFlags(values) }
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`)
    process.exit(2)
  }
}

const { basePort, data, tls, flags } = readArguments()
const ids = ['n1', 'n2', 'n3']
// Not while another cluster may be using what is there.
for (const at of ids.keys()) {
  for (const port of [basePort + 1 + at, basePort + 101 + at]) {
    if (await isFree(port)) continue
    console.error(`port ${port} is taken: is another cluster running? Choose others by --base-port`)
    process.exit(1)
  }
}
const secured = tls ? await development(join(data, 'tls'), 'kv', ids) : undefined
const founders = Object.fromEntries(ids.map((id, at) => [id, `127.0.0.1:${basePort + 101 + at}`]))
const members = ids.map((id, at) => {
  const [address, httpPort] = [founders[id]!, basePort + 1 + at]
  const own = { flags: [...flags, ...(secured?.flags(id) ?? [])], ...(secured && { dialer: secured.dialer }) }
  return new MemberProcess({ id, address, httpPort, directory: join(data, id), founders, ...own })
})

// Ctrl-C comes twice when npm passes it on; whatever comes after the first changes nothing.
let leaving = false
const woken = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (leaving) return
    leaving = true
    woken.abort()
  })
}

const views = new Map<string, MemberView>()
async function look(): Promise<void> {
  await Promise.all(
    members.map(async (member) => {
      const answer = member.running
        ? await member.ask({ method: 'GET', path: '/v1/status' }, 1_000).catch(() => undefined)
        : undefined
      if (answer?.status === 200) views.set(member.id, answer.body as MemberView)
      else views.delete(member.id)
    }),
  )
}

/** Whom most believe to lead. */
const leader = (): MemberView | undefined => [...views.values()].find(({ role }) => role === 'leader')

function picture(): string {
  return table(
    ['member', 'pid', 'http', 'role', 'term', 'committed', 'applied', 'log', 'snapshot'],
    members.map(({ id, pid, endpoint }) => {
      const view = views.get(id)
      const process = [id, pid ?? '-', endpoint]
      if (view === undefined) return [...process, 'down', '', '', '', '', '']
      const { role, term, commit, machineApplied, first, last, snapshot } = view
      return [...process, role, term, commit, machineApplied, `${first}–${last}`, snapshot?.index ?? '-']
    }),
  )
}

let drawn = 0
let lastLine = ''
function show(): void {
  if (process.stdout.isTTY) {
    const lines = picture().split('\n')
    process.stdout.write(`${drawn > 0 ? `\x1b[${drawn}A` : ''}${lines.map((line) => `\x1b[2K${line}\n`).join('')}`)
    drawn = lines.length
    return
  }
  const now = leader()
  const line = now
    ? `${now.id} leads term ${now.term}, committed ${now.commit}, ${views.size} of 3 up`
    : `nobody leads, ${views.size} of 3 up`
  if (line !== lastLine) console.log(line)
  lastLine = line
}

const returning = new Set<MemberProcess>()
/** Somebody may try `kill -9`: what has died comes back after a moment. */
function reviveDead(): void {
  for (const member of members) {
    if (member.running || returning.has(member)) continue
    returning.add(member)
    void pause(3_000)
      .then(() => (leaving ? undefined : member.start()))
      .catch((error: Error) => leaving || console.error(error.message))
      .finally(() => returning.delete(member))
  }
}

let failed = false
try {
  console.log(`starting three members; their data is in ${data}`)
  await Promise.all(members.map((member) => member.start()))
  do await Promise.all([look(), pause(200)])
  while (!leaving && leader() === undefined)
  const command = `node ${relative('.', fileURLToPath(new URL('./raftkit-kv.js', import.meta.url)))}`
  const { ca, token } = secured?.client ?? {}
  const shown = secured ? ` --ca ${ca} --token ${token}` : ''
  const elsewhere = basePort !== 8000 || secured
  const endpoints = elsewhere ? ` --endpoints ${members.map(({ endpoint }) => endpoint).join(',')}` : ''
  if (!leaving) {
    console.log(`
Try, in another terminal:
  ${command}${endpoints}${shown} put greeting hello
  ${command}${endpoints}${shown} watch --from 1
  kill -9 ${members.find(({ id }) => id === leader()?.id)?.pid}    # the leader: another takes over, and this one comes back

Ctrl-C ends it; started again, it finds its data.
`)
  }
  while (!leaving) {
    await look()
    show()
    reviveDead()
    await pause(process.stdout.isTTY ? 500 : 2_000, undefined, { signal: woken.signal }).catch(() => {})
  }
} catch (error) {
  failed = true
  console.error((error as Error).message)
}

console.log('leaving: each leader hands over before it goes')
// The leader first: it can still hand over. Whoever is last has nobody left.
await look()
members.sort((a, b) => Number(b.id === leader()?.id) - Number(a.id === leader()?.id))
for (const member of members) await member.stop()
console.log('all members are down; their data is kept')
process.exit(failed ? 1 : 0)
