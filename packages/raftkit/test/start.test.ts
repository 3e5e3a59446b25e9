import { RaftkitError, type StateMachine, type Storage, type Transport } from '@raftkit/contract'
import { memoryStorage } from '@raftkit/storage-memory'
import { memoryNetwork } from '@raftkit/transport-memory'
import { describe, expect, test } from 'vitest'
import { createNode, type NodeOptions } from '../src/index.ts'
import { echo } from './echo.ts'
import { bytes, Journal } from './journal.ts'
import { VirtualWorld } from './virtual-world.ts'

interface Closed {
  storage: number
  transport: number
  log: number
}

/** The same storage and transport, counting how often each was closed. */
function watched(storage: Storage, transport: Transport, closed: Closed): { storage: Storage; transport: Transport } {
  return {
    storage: {
      contract: 1,
      durable: storage.durable,
      groups: () => storage.groups(),
      snapshots: (group) => storage.snapshots(group),
      destroy: (group) => storage.destroy(group),
      log: async (group) => {
        const log = await storage.log(group)
        return {
          found: log.found,
          write: (change) => log.write(change),
          read: (from, to, maxBytes) => log.read(from, to, maxBytes),
          close: () => {
            closed.log++
            return log.close()
          },
        }
      },
      close: () => {
        closed.storage++
        return storage.close()
      },
    },
    transport: {
      contract: 1,
      maxFrameBytes: transport.maxFrameBytes,
      start: (self, receiver) => transport.start(self, receiver),
      send: (to, frame, lane) => transport.send(to, frame, lane),
      setPeers: (peers) => transport.setPeers(peers),
      close: () => {
        closed.transport++
        return transport.close()
      },
    },
  }
}

async function failed(
  differ: (parts: { storage: Storage; transport: Transport }) => Partial<NodeOptions<StateMachine>>,
  storage = memoryStorage({ durable: true }),
) {
  const closed = { storage: 0, transport: 0, log: 0 }
  const parts = watched(storage, memoryNetwork().transport(), closed)
  const options = { id: 'n1', cluster: 'echoes', machine: new Journal(), members: { n1: 'a1' }, protocol: echo }
  const failure = await createNode({ ...options, ...parts, ...differ(parts) }).catch((error) => error)
  return { failure, closed }
}

/** A storage on which a node wrote three entries and a snapshot of the first two. */
async function written(): Promise<Storage> {
  const storage = memoryStorage({ durable: true })
  const node = await createNode<StateMachine>({
    id: 'n1',
    cluster: 'echoes',
    machine: new Journal(),
    members: { n1: 'a1' },
    protocol: echo,
    storage,
    transport: memoryNetwork().transport(),
  })
  await node.propose(bytes('a'))
  await node.propose(bytes('b'))
  await node.snapshot()
  await node.propose(bytes('c'))
  await node.close()
  return storage
}

describe('a node that cannot start closes again what it had opened', () => {
  test('when the transport cannot listen', async () => {
    const { failure, closed } = await failed(({ transport }) => ({
      transport: {
        ...transport,
        start: () => Promise.reject(new RaftkitError('TRANSPORT_FAILED', 'the address is in use')),
      },
    }))
    expect(failure).toMatchObject({ code: 'TRANSPORT_FAILED' })
    expect(closed).toEqual({ storage: 1, transport: 1, log: 1 })
  })

  test('when the log is damaged', async () => {
    const { failure, closed } = await failed(({ storage }) => ({
      storage: { ...storage, log: () => Promise.reject(new RaftkitError('DAMAGED', 'a record is torn')) },
    }))
    expect(failure).toMatchObject({ code: 'DAMAGED' })
    expect(closed).toEqual({ storage: 1, transport: 1, log: 0 })
  })

  test('when the first write fails: nothing was shown to anybody', async () => {
    let started = false
    const { failure, closed } = await failed(({ storage, transport }) => ({
      storage: {
        ...storage,
        log: async (group) => ({ ...(await storage.log(group)), write: () => Promise.reject(new Error('EIO')) }),
      },
      transport: {
        ...transport,
        start: async () => {
          started = true
        },
      },
    }))
    expect(failure).toMatchObject({ code: 'STORAGE_FAILED' })
    expect(started).toBe(false)
    expect(closed.storage).toBe(1)
    expect(closed.transport).toBe(1)
  })

  test('when the snapshot that the log builds on is gone', async () => {
    const storage = await written()
    const snapshots = await storage.snapshots('main')
    await snapshots.retain([])
    const { failure, closed } = await failed(() => ({}), storage)
    expect(failure).toMatchObject({ code: 'DAMAGED' })
    expect(failure.message).toMatch(/snapshot 2-1-.* is gone; wipe/)
    expect(closed).toEqual({ storage: 1, transport: 1, log: 1 })
  })

  test('when the machine does not understand the snapshot', async () => {
    const machine = new Journal()
    machine.restore = () => Promise.reject(new Error('what is this?'))
    const { failure } = await failed(() => ({ machine }), await written())
    expect(failure).toMatchObject({ code: 'MACHINE_MISMATCH' })
    expect(failure.message).toMatch(/what is this/)
  })
})

describe('a node that starts', () => {
  test('and whose disk hangs tells what it waits for, again and again, until it is there', async () => {
    const environment = new VirtualWorld(1)
    const storage = memoryStorage({ durable: true })
    let thaw = (): void => {}
    const frozen = new Promise<void>((resolve) => {
      thaw = resolve
    })
    const { storage: hanging, transport } = watched(storage, memoryNetwork().transport(), {
      ...{ storage: 0, transport: 0, log: 0 },
    })
    const told: string[] = []
    const starting = createNode<StateMachine>({
      ...{ id: 'n1', cluster: 'echoes', machine: new Journal(), members: { n1: 'a1' }, protocol: echo, environment },
      storage: { ...hanging, log: (group) => frozen.then(() => hanging.log(group)) },
      transport,
      observer: (event) => void (event.type === 'warning' && told.push(`${event.code}: ${event.reason}`)),
    })
    await environment.run(9_999)
    expect(told).toEqual([])
    await environment.run(25_000)
    expect(told).toHaveLength(2)
    expect(told[0]).toMatch(/^SLOW_START: .*it waits for the storage to open/)
    thaw()
    await environment.run(60_000)
    const node = await starting
    expect(told).toHaveLength(2)
    const closing = node.close()
    await environment.run(120_000)
    await closing
  })

  test('shows itself only once its first write is durable', async () => {
    const order: string[] = []
    const storage = memoryStorage({ durable: true })
    const { storage: slow, transport } = watched(storage, memoryNetwork().transport(), {
      storage: 0,
      transport: 0,
      log: 0,
    })
    const node = await createNode<StateMachine>({
      id: 'n1',
      cluster: 'echoes',
      machine: new Journal(),
      members: { n1: 'a1' },
      protocol: echo,
      storage: {
        ...slow,
        log: async (group) => {
          const log = await slow.log(group)
          return {
            ...log,
            write: async (change) => {
              await new Promise((resolve) => setTimeout(resolve, 30))
              await log.write(change)
              order.push('durable')
            },
          }
        },
      },
      transport: {
        ...transport,
        start: (self, receiver) => {
          order.push('reachable')
          return transport.start(self, receiver)
        },
      },
    })
    expect(order).toEqual(['durable', 'reachable'])
    await node.close()
  })
})
