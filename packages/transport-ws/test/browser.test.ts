import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { jointConsensus } from '@raftkit/membership'
import { memoryStorage } from '@raftkit/storage-memory'
import { wsTransport } from '@raftkit/transport-ws'
import { build } from 'esbuild'
import { createNode, defineMachine } from 'raftkit'
import { afterEach, describe, expect, test } from 'vitest'
import { Chromium, chromiumPath } from './chromium.ts'

const here = fileURLToPath(new URL('.', import.meta.url))
const secret = 'nobody but us knows these words of mine'
const path = chromiumPath()

/** The page's program, as an app would bundle it: whatever of it is not for browsers fails the build. */
async function program(): Promise<string> {
  const names = ['contract', 'bytes', 'core', 'links', 'storage-memory']
  const alias = Object.fromEntries(names.map((name) => [`@raftkit/${name}`, join(here, `../../${name}/src/index.ts`)]))
  const { outputFiles } = await build({
    entryPoints: [join(here, 'page/observer.ts')],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'chrome100',
    logLevel: 'silent',
    alias: {
      ...alias,
      raftkit: join(here, '../../raftkit/src/index.ts'),
      '@raftkit/transport-ws/browser': join(here, '../src/browser.ts'),
    },
  })
  return outputFiles[0]!.text
}

const machine = defineMachine({
  initial: () => ({ lines: [] as string[] }),
  commands: { add: (state, line: string) => state.lines.push(line) },
  queries: { lines: (state) => state.lines },
})

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function server(answer: Parameters<typeof createServer>[1]): Promise<{ server: Server; port: number }> {
  const made = createServer(answer)
  made.listen(0, '127.0.0.1')
  await once(made, 'listening')
  ends.push(async () => {
    made.closeAllConnections()
    made.close()
  })
  return { server: made, port: (made.address() as AddressInfo).port }
}

test('what a page runs asks for nothing of Node.js', async () => {
  const text = await program()
  expect(text).not.toMatch(/(from|import|require\()\s*["']node:/)
  expect(text).not.toMatch(/\bBuffer\.(from|alloc)/)
})

describe('a page in a browser', { timeout: 120_000 }, () => {
  test('joins as an observer, sees commits in order as they happen, and goes on when the leader is gone', async ({
    skip,
  }) => {
    if (!path) return skip('no Chromium on this machine: apt-get install chromium, or say where it is in CHROMIUM')
    const script = await program()
    const site = await server((request, response) => {
      const isScript = request.url === '/observer.js'
      response.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html')
      response.end(isScript ? script : '<!doctype html><body><script type="module" src="/observer.js"></script>')
    })
    const origin = `http://127.0.0.1:${site.port}`

    // Each node lives beside the server of an app.
    const ids = ['n1', 'n2', 'n3']
    const apps = await Promise.all(ids.map(() => server((_, response) => response.end('the app'))))
    const members = Object.fromEntries(ids.map((id, n) => [id, `ws://127.0.0.1:${apps[n]!.port}/raftkit`]))
    const nodes = await Promise.all(
      ids.map((id, n) =>
        createNode({
          id,
          cluster: 'lines',
          machine,
          members,
          membership: jointConsensus(),
          storage: memoryStorage(),
          transport: wsTransport({ server: apps[n]!.server, secret, origins: [origin] }),
        }),
      ),
    )
    for (const node of nodes) ends.push(() => node.close())
    await Promise.all(nodes.map((node) => node.ready()))

    const browser = await Chromium.start(path)
    ends.push(() => browser.close())
    const evaluate = await browser.page(`${origin}/`)
    await evaluate(`observe(${JSON.stringify(members)}, ${JSON.stringify(secret)})`)
    await nodes[0]!.members.addLearner('page')
    const member = nodes[0]!.members.list().find(({ id }) => id === 'page')
    expect(member).toMatchObject({ id: 'page', role: 'learner' })
    expect(member).not.toHaveProperty('address')

    const wanted: string[] = []
    const add = async (through: number, count: number) => {
      for (let n = 0; n < count; n++) {
        const line = `line ${wanted.length}`
        await nodes[through]!.commands.add(line)
        wanted.push(line)
      }
    }
    let shown: unknown = []
    const seen = async () => {
      const end = Date.now() + 30_000
      do shown = await evaluate('shown()')
      while (JSON.stringify(shown) !== JSON.stringify(wanted) && Date.now() < end)
      expect(shown, browser.said.join('\n')).toEqual(wanted)
    }
    await add(0, 100)
    await seen()
    expect(await evaluate('node.status().role')).toBe('follower')

    const leader = nodes.findIndex((node) => node.status().role === 'leader')
    await nodes[leader]!.close()
    await add((leader + 1) % 3, 100)
    await seen()
    expect(wanted).toHaveLength(200)
  })

  test('of an origin that was not named gets no connection', async ({ skip }) => {
    if (!path) return skip('no Chromium on this machine: apt-get install chromium, or say where it is in CHROMIUM')
    const reasons: string[] = []
    const app = await server((_, response) => response.end('<!doctype html>'))
    const node = wsTransport({ server: app.server, onReport: ({ reason }) => reasons.push(reason) })
    const never = () => {
      throw new Error('asked for nothing')
    }
    await node.start({ id: 'n1' }, { hello: never, admit: never, frame: never, link: never })
    ends.push(() => node.close())
    const browser = await Chromium.start(path)
    ends.push(() => browser.close())
    const evaluate = await browser.page(`http://127.0.0.1:${app.port}/`)
    const outcome = await evaluate(`new Promise((resolve) => {
      const socket = new WebSocket('ws://127.0.0.1:${app.port}/raftkit/control', 'raftkit1')
      socket.onopen = () => resolve('open')
      socket.onerror = () => resolve('refused')
    })`)
    expect(outcome).toBe('refused')
    expect(reasons[0]).toMatch(/^pages of (http:\/\/127\.0\.0\.1:\d+|null) may not connect/)
  })
})
