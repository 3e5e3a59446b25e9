import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { freePorts, isFree } from '../src/local/member-process.ts'

const dist = fileURLToPath(new URL('../dist', import.meta.url))
const started = new Set<ChildProcess>()
let data: string
let basePort: number

beforeEach(async () => {
  if (!existsSync(join(dist, 'cluster.js'))) throw new Error('this test runs the built programs: npm run build')
  data = await mkdtemp(join(tmpdir(), 'raftkit-kv-'))
  do basePort = (await freePorts(1))[0]!
  while (!(await Promise.all([1, 2, 3, 101, 102, 103].map((n) => isFree(basePort + n)))).every(Boolean))
})
afterEach(async () => {
  // Members end with the pipe to who started them.
  for (const child of started) if (child.exitCode === null) child.kill('SIGKILL')
  started.clear()
  await rm(data, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 })
})

interface Running {
  readonly child: ChildProcess
  output: string
  readonly ended: Promise<number | null>
}

function start(program: string, ...args: string[]): Running {
  const child = spawn(process.execPath, [join(dist, program), ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  started.add(child)
  const running: Running = { child, output: '', ended: once(child, 'close').then(([code]) => code as number | null) }
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.on('data', (chunk: Buffer) => {
      running.output += chunk.toString()
    })
  }
  return running
}

async function kv(...args: string[]): Promise<{ code: number | null; output: string }> {
  const endpoints = [1, 2, 3].map((n) => `http://127.0.0.1:${basePort + n}`).join(',')
  const running = start('raftkit-kv.js', '--endpoints', endpoints, ...args)
  return { code: await running.ended, output: running.output }
}

/** Resolves with what it has printed by the time that it leads. */
async function clusterUp(...flags: string[]): Promise<Running> {
  const running = start('cluster.js', '--base-port', String(basePort), '--data', data, ...flags)
  while (!/leads term/.test(running.output)) {
    const ended = await Promise.race([running.ended, once(running.child.stdout!, 'data').then(() => undefined)])
    if (ended !== undefined) throw new Error(`it ended with ${ended}: ${running.output}`)
  }
  return running
}

test('the local cluster serves, survives a killed leader, leaves on Ctrl-C twice, and finds its data again', async () => {
  const first = await clusterUp()
  expect(first.output).toContain('put greeting hello')
  expect(await kv('put', 'greeting', 'hello')).toMatchObject({ code: 0 })

  const [, pid] = /kill -9 (\d+)/.exec(first.output)!
  process.kill(Number(pid), 'SIGKILL')
  expect(await kv('append', 'greeting', '!')).toMatchObject({ code: 0 })
  expect(await kv('get', 'greeting')).toEqual({ code: 0, output: 'hello!\n' })

  first.child.kill('SIGINT')
  first.child.kill('SIGINT')
  expect(await first.ended).toBe(0)
  expect(first.output).toContain('all members are down')

  const second = await clusterUp()
  expect(await kv('get', 'greeting')).toEqual({ code: 0, output: 'hello!\n' })
  second.child.kill('SIGTERM')
  expect(await second.ended).toBe(0)
}, 90_000)

test('the local cluster runs on LevelDB and gRPC if told, and what those wrote is not begun anew', async () => {
  const first = await clusterUp('--storage', 'level', '--transport', 'grpc')
  expect(await kv('put', 'greeting', 'hello')).toMatchObject({ code: 0 })
  first.child.kill('SIGINT')
  expect(await first.ended).toBe(0)

  const other = start('cluster.js', '--base-port', String(basePort), '--data', data)
  expect(await other.ended).toBe(1)
  expect(other.output).toContain('--storage level')

  const second = await clusterUp('--storage', 'level', '--transport', 'grpc')
  expect(await kv('get', 'greeting')).toEqual({ code: 0, output: 'hello\n' })
  second.child.kill('SIGTERM')
  expect(await second.ended).toBe(0)
}, 90_000)

test('the local cluster with --tls serves who shows its token over HTTPS, and nobody else', async () => {
  const running = await clusterUp('--transport', 'ws', '--tls')
  const [, printed] = /raftkit-kv\.js (--endpoints .*) put greeting hello/.exec(running.output)!
  const put = start('raftkit-kv.js', ...printed!.split(' '), 'put', 'greeting', 'hello')
  expect(await put.ended, put.output).toBe(0)
  const [endpoints, ca] = [/--endpoints \S+/, /--ca \S+/].map((flag) => flag.exec(printed!)![0].split(' '))
  const stranger = start('raftkit-kv.js', ...endpoints!, ...ca!, 'get', 'greeting')
  expect(await stranger.ended).toBe(1)
  expect(stranger.output).toContain('UNAUTHENTICATED')
  expect((await kv('--timeout', '1000', 'get', 'greeting')).code).not.toBe(0)
  running.child.kill('SIGTERM')
  expect(await running.ended).toBe(0)
}, 90_000)

test('members do not outlive a launcher that was killed', async () => {
  const running = await clusterUp()
  running.child.kill('SIGKILL')
  await running.ended
  while (!(await Promise.all([1, 2, 3].map((n) => isFree(basePort + n)))).every(Boolean)) await pause(50)
}, 60_000)

test('a port that is taken is a clear error', async () => {
  const server = createServer().listen(basePort + 2, '127.0.0.1')
  await once(server, 'listening')
  const running = start('cluster.js', '--base-port', String(basePort), '--data', data)
  expect(await running.ended).toBe(1)
  expect(running.output).toContain(`port ${basePort + 2} is taken`)
  server.close()
})

test('a wrong argument is a wrong call', async () => {
  expect(await start('cluster.js', '--base-port', 'ten').ended).toBe(2)
})
