import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener, request, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAuthority, issue } from '@raftkit/certificates'
import { closeAll, TestNode, type World } from '@raftkit/testing/node'
import { startNode } from '@raftkit/testing/process'
import { bundle } from '@raftkit/testing/program'
import { until } from '@raftkit/testing/until'
import { wsTransport } from '@raftkit/transport-ws'
import { afterEach, expect, test } from 'vitest'

const secret = 'nobody but us knows these words of mine'
const world: World = {
  transport: () => wsTransport({ secret, listen: '127.0.0.1:0' }),
  address: () => 'wss://example.org/raft',
}
const servers: Server[] = []

afterEach(async () => {
  await closeAll()
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

/** A reverse proxy: `/n1/…` leads to where a node listens, at its own path. */
async function proxy(server: Server, target: string): Promise<number> {
  servers.push(server)
  server.on('upgrade', (asked, near, head) => {
    const [host, port] = target.split(':')
    const path = asked.url!.replace(/^\/n1\//, '/raftkit/')
    const forward = request({ host, port, path, headers: asked.headers, method: 'GET' }).end()
    forward.on('upgrade', (answer, far) => {
      const headers = Object.entries(answer.headers).map(([name, value]) => `${name}: ${value}`)
      near.write(`HTTP/1.1 101 Switching Protocols\r\n${headers.join('\r\n')}\r\n\r\n`)
      far.write(head)
      near.pipe(far).pipe(near)
      for (const [one, other] of [
        [near, far],
        [far, near],
      ])
        one!.on('error', () => {}).on('close', () => other!.destroy())
    })
    forward.on('error', () => near.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
const nothing: RequestListener = (_, response) => response.writeHead(404).end()

test('a node behind a proxy is dialled by URL', async () => {
  const a = await TestNode.start(world, 'a')
  const port = await proxy(createServer(nothing), a.peer.address!)
  const b = await TestNode.start(world, 'b')
  b.transport.setPeers([{ id: 'a', address: `ws://127.0.0.1:${port}/n1` }])
  await until(() => b.state(a) === 'up' && a.state(b) === 'up')
  b.transport.send('a', [new Uint8Array(1_000_000)], 'bulk')
  await until(() => a.heard[0]?.frame.length === 1_000_000)
})

test('through a proxy that ends TLS, nodes prove themselves by the secret, and the proxy by its host name', async () => {
  const { ca, cert, key } = await issue(await createAuthority({ cluster: 'web' }), { node: 'proxy' })
  const folder = await mkdtemp(join(tmpdir(), 'raftkit-ws-'))
  await writeFile(join(folder, 'ca.pem'), ca)
  const program = await bundle(new URL('subject.ts', import.meta.url), { external: ['ws'] })
  const a = await TestNode.start(world, 'a')
  const port = await proxy(createTlsServer({ cert, key }, nothing), a.peer.address!)
  // The CAs that Node.js knows are read when a process starts.
  const child = (knows: Record<string, string>, security: object, id: string) =>
    startNode(
      program.path,
      id,
      { id: 'a', address: `wss://localhost:${port}/n1` },
      { ...knows, RAFTKIT_TEST_SECURITY: JSON.stringify(security) },
    )
  const knows = { NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') }
  const children = [
    child({}, { secret }, 'knows-no-ca'),
    child(knows, { secret: 'some other words that nobody knows at all' }, 'knows-no-secret'),
    child(knows, { secret }, 'b'),
  ]
  try {
    await until(() => a.links.includes('b up'))
    a.transport.send('b', [new TextEncoder().encode('to you')], 'control')
    await until(() => a.texts.some((text) => text.includes('to you')))
    expect(new Set(a.admitted)).toEqual(new Set(['b']))
  } finally {
    for (const each of children) each.kill('SIGKILL')
    await program.remove()
    await rm(folder, { recursive: true })
  }
}, 60_000)
