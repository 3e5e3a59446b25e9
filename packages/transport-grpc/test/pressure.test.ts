import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { grpcTransport } from '@raftkit/transport-grpc'
import { afterEach, describe, expect, test } from 'vitest'
import { closeAll, TestNode, until, up, type World, wait } from './node.ts'
import { Relay } from './relay.ts'

const queueBytes = 8 * 1024 * 1024
const world: World = {
  transport: () => grpcTransport({ queueBytes }),
  address: () => '127.0.0.1:0',
  reached: (transport) => (transport as ReturnType<typeof grpcTransport>).address!,
}

/** a dials b through a relay. */
async function relayed() {
  const [a, b] = [await TestNode.start(world, 'a'), await TestNode.start(world, 'b')]
  const relay = new Relay(b.peer.address!)
  relays.push(relay)
  const address = await relay.listen()
  a.transport.setPeers([{ id: 'b', address }])
  await up(a, b)
  return { a, b, relay }
}

const relays: Relay[] = []

describe('a peer that does not read', { timeout: 60_000 }, () => {
  afterEach(async () => {
    await closeAll()
    for (const relay of relays.splice(0)) relay.close()
  })

  test.each([
    ['dialled', true],
    ['that dialled us', false],
  ])(
    'a blocked peer %s costs bounded memory, is told of as full, and as up once it has drained',
    async (_, dialled) => {
      const { a, b, relay } = await relayed()
      const [from, to] = dialled ? [a, b] : [b, a]
      relay.block()
      const before = await held()
      for (let turn = 0; turn < 100; turn++) {
        for (let n = 0; n < 32; n++) from.transport.send(to.id, [new Uint8Array(65_536)], 'bulk')
        await wait(0)
      }
      await until(() => from.state(to) === 'full')
      // 200 MiB were sent. What stays: the queue, what gRPC holds, and what the kernel lent us buffers for.
      expect((await held()) - before).toBeLessThan(2 * queueBytes)
      const heard = to.heard.length
      relay.unblock()
      await until(() => from.state(to) === 'up')
      from.send(to, 'after', 'bulk')
      await until(() => to.texts.at(-1) === 'after')
      expect(to.heard.length).toBeGreaterThan(heard)
      expect(to.state(from)).toBe('up')
    },
  )

  test('the same with control frames: the newest get through', async () => {
    const { a, b, relay } = await relayed()
    relay.block()
    const before = await held()
    for (let turn = 0; turn < 100; turn++) {
      for (let n = 0; n < 32; n++) a.transport.send('b', [new Uint8Array(65_536)], 'control')
      await wait(0)
    }
    a.send(b, 'newest')
    expect((await held()) - before).toBeLessThan(2 * queueBytes)
    expect(a.state(b)).toBe('up')
    relay.unblock()
    await until(() => b.texts.at(-1) === 'newest')
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

  test('a half-open connection is found out and replaced', async () => {
    const { a, b, relay } = await relayed()
    // Nothing is closed; nothing gets through any more.
    const dead = relay.pairs.flat()
    for (const socket of dead) {
      socket.removeAllListeners('data')
      socket.pause()
    }
    await until(() => a.state(b) === 'down' && b.state(a) === 'down')
    await up(a, b)
    a.send(b, 'after')
    await until(() => b.texts.at(-1) === 'after')
  })

  test('what was sent before close still arrives', async () => {
    const { a, b } = await relayed()
    for (let n = 0; n < 50; n++) a.transport.send('b', [new Uint8Array(65_536)], 'bulk')
    a.send(b, 'farewell')
    await a.transport.close()
    await until(() => b.heard.length === 51)
  })
})

const collect = (() => {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
})()

async function held(): Promise<number> {
  for (let n = 0; n < 4; n++) {
    collect()
    await wait(10)
  }
  return process.memoryUsage().arrayBuffers
}

describe('small frames that wait together', () => {
  afterEach(closeAll)

  test('arrive in one message, also where that is larger than a frame may be', async () => {
    const small: World = { ...world, transport: () => grpcTransport({ maxFrameBytes: 65_536 }) }
    const [a, b] = [await TestNode.start(small, 'a'), await TestNode.start(small, 'b')]
    a.transport.setPeers([b.peer])
    await up(a, b)
    for (let turn = 0; turn < 20; turn++) {
      for (let n = 0; n < 4; n++) a.transport.send('b', [new Uint8Array(60_000)], 'bulk')
      await until(() => b.heard.length === 4 * (turn + 1))
    }
    expect(a.links).toEqual(['b up'])
  })
})
