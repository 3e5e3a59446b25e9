import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import {
  closeRelayed,
  deliverBeforeTheyClose,
  passControlWhileBulkIsBlocked,
  relayed,
  replaceWhatIsHalfOpen,
} from '@raftkit/testing/links'
import { closeAll, TestNode, up } from '@raftkit/testing/node'
import { until, wait } from '@raftkit/testing/until'
import { grpcTransport } from '@raftkit/transport-grpc'
import { afterEach, describe, expect, test } from 'vitest'

const queueBytes = 8 * 1024 * 1024
const world = { transport: () => grpcTransport({ queueBytes }) }

describe('a peer that does not read', { timeout: 60_000 }, () => {
  afterEach(closeRelayed)

  test.each([
    ['dialled', true],
    ['that dialled us', false],
  ])(
    'a blocked peer %s costs bounded memory, is told of as full, and as up once it has drained',
    async (_, dialled) => {
      const { a, b, relay } = await relayed(world)
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
    const { a, b, relay } = await relayed(world)
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

  test('control passes while bulk is blocked', async () => passControlWhileBulkIsBlocked(await relayed(world)))

  test('a half-open connection is found out and replaced', async () => replaceWhatIsHalfOpen(await relayed(world)))

  test('what was sent before close still arrives', async () => deliverBeforeTheyClose(await relayed(world)))
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
    const small = { transport: () => grpcTransport({ maxFrameBytes: 65_536 }) }
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
