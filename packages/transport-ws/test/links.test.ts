import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { linkTransport } from '@raftkit/links'
import type { WsTransport } from '@raftkit/transport-ws'
import { afterEach, describe, expect, test } from 'vitest'
import { wsCarrier } from '../src/carrier.ts'
import { bundle } from './bundle.ts'
import { closeAll, connect, TestNode, until, up, type World, wait } from './node.ts'
import { Relay } from './relay.ts'

/** Between signs of life: less than the usual, so that what is missed is found out soon. */
const aliveMs = 200
const world: World = {
  transport: () => linkTransport({}, wsCarrier({}, aliveMs)),
  address: () => '127.0.0.1:0',
  reached: (transport) => (transport as WsTransport).address!,
}

/** Ends of TCP connections in this process; each connection has both of them here. */
const ends = () => process.getActiveResourcesInfo().filter((resource) => resource === 'TCPSocketWrap').length
/** Control and bulk apart. */
const endsPerPair = 4

const relays: Relay[] = []

/** a dials b through a relay. */
async function relayed() {
  const [a, b] = [await TestNode.start(world, 'a'), await TestNode.start(world, 'b')]
  const relay = new Relay(b.peer.address!)
  relays.push(relay)
  a.transport.setPeers([{ id: 'b', address: await relay.listen() }])
  await up(a, b)
  return { a, b, relay }
}

describe('links', { timeout: 60_000 }, () => {
  afterEach(async () => {
    await closeAll()
    for (const relay of relays.splice(0)) relay.close()
  })

  test('two nodes hold two TCP connections, whoever dialled, and none once closed', async () => {
    await until(() => ends() === 0)
    for (let round = 0; round < 20; round++) {
      const nodes = await Promise.all(['a', 'b', 'c'].map((id) => TestNode.start(world, id)))
      await connect(...nodes)
      await until(
        () => ends() === 3 * endsPerPair,
        () => `${ends()} ends`,
      )
      // No flapping while two dials are settled.
      for (const { id, links } of nodes) expect(links.length, `${id}: ${links.join(', ')}`).toBe(2)
      await closeAll()
      await until(
        () => ends() === 0,
        () => `${ends()} ends`,
      )
    }
  })

  test('attempts that fail leave nothing behind', async () => {
    const [a, b] = [await TestNode.start(world, 'a'), await TestNode.start(world, 'b')]
    b.admitting = false
    a.transport.setPeers([b.peer, { id: 'c', address: '127.0.0.1:1' }])
    await until(() => b.refusals >= 10)
    a.transport.setPeers([])
    await until(
      () => ends() === 0,
      () => `${ends()} ends`,
    )
  })

  test('an idle link stands: each side gives signs of life', async () => {
    const { a, b } = await relayed()
    // Longer than any silence that is tolerated.
    await wait(10 * aliveMs)
    expect([a.links, b.links]).toEqual([['b up'], ['a up']])
    a.send(b, 'after')
    await until(() => b.texts.at(-1) === 'after')
  })

  test('a half-open connection is found out and replaced', async () => {
    const { a, b, relay } = await relayed()
    // Nothing is closed; nothing gets through any more.
    for (const socket of relay.pairs.flat()) socket.removeAllListeners('data').pause()
    await until(() => a.state(b) === 'down' && b.state(a) === 'down')
    await up(a, b)
    a.send(b, 'after')
    await until(() => b.texts.at(-1) === 'after')
  })

  test('control passes while bulk is blocked', async () => {
    const { a, b, relay } = await relayed()
    // The bulk connection is the one that much has gone through.
    for (let n = 0; n < 64; n++) a.transport.send('b', [new Uint8Array(65_536)], 'bulk')
    await until(() => b.heard.length === 64)
    const bulk = [...relay.pairs].sort((x, y) => y[0].bytesRead - x[0].bytesRead)[0]!
    for (const socket of bulk) socket.pause()
    for (let n = 0; n < 512; n++) a.transport.send('b', [new Uint8Array(65_536)], 'bulk')
    a.send(b, 'vote')
    await until(() => b.texts.at(-1) === 'vote')
    for (const socket of bulk) socket.resume()
  })

  test('what was sent before close still arrives', async () => {
    const { a, b } = await relayed()
    for (let n = 0; n < 50; n++) a.transport.send('b', [new Uint8Array(65_536)], 'bulk')
    a.send(b, 'farewell')
    await a.transport.close()
    await until(() => b.heard.length === 51)
  })

  test('a process that stands still is found out, and heard again when it goes on', async () => {
    const program = await bundle('child/node.ts')
    const a = await TestNode.start(world, 'a')
    const b = fork(fileURLToPath(program.url), ['b', '127.0.0.1:0', 'a', a.peer.address!])
    const state = () => a.links.at(-1)
    try {
      const [at] = await once(b, 'message')
      a.transport.setPeers([{ id: 'b', address: String(at).slice(3) }])
      await until(() => state() === 'b up')
      b.kill('SIGSTOP')
      // It gives no sign of life; and new connections, which its kernel accepts, stay mute.
      await until(() => state() === 'b down')
      await wait(1000)
      b.kill('SIGCONT')
      await until(() => state() === 'b up')
      const before = a.heard.length
      await until(() => {
        a.transport.send('b', [new Uint8Array(5)], 'control')
        return a.heard.length > before
      })
      expect(a.texts.at(-1)).toContain(String(b.pid))
    } finally {
      b.kill('SIGKILL')
      await program.remove()
    }
  })
})
