import type { LogStore, LogWrite, StateMachine, Storage, Transport } from '@raftkit/contract'
import { memoryStorage } from '@raftkit/storage-memory'
import { memoryNetwork } from '@raftkit/transport-memory'
import { describe, expect, test } from 'vitest'
import { createNode, type NodeEvent } from '../src/index.ts'
import { echo } from './echo.ts'
import { heard, start, until } from './echo-node.ts'
import { bytes, Journal, textOf } from './journal.ts'
import { World } from './world.ts'

/** A storage whose writes become durable when the test says so. */
class HeldStorage implements Storage {
  readonly contract = 1
  readonly durable = true
  readonly inner = memoryStorage({ durable: true })
  held: (() => void)[] = []
  holding = false
  failing: Error | undefined
  closed = false

  groups = () => this.inner.groups()
  snapshots = (group: string) => this.inner.snapshots(group)
  destroy = (group: string) => this.inner.destroy(group)

  async log(group: string): Promise<LogStore> {
    const log = await this.inner.log(group)
    return {
      found: log.found,
      read: (from, to, maxBytes) => log.read(from, to, maxBytes),
      close: () => log.close(),
      write: async (change: LogWrite) => {
        if (this.failing) throw this.failing
        await log.write(change)
        if (this.holding) await new Promise<void>((resolve) => this.held.push(resolve))
      },
    }
  }

  async close(): Promise<void> {
    this.closed = true
    await this.inner.close()
  }

  letGo(): void {
    for (const release of this.held.splice(0)) release()
  }
}

describe('the runtime drives a protocol that is not Raft', () => {
  test('applies what it commits, and resolves each proposal with the result at its index', async () => {
    const { node, machine } = await start({ transport: memoryNetwork().transport() })
    const applied = await Promise.all(['a', 'b', 'c'].map((text) => node.propose(bytes(text))))
    expect(applied.map(({ index, result }) => `${index} ${textOf(result)}`)).toEqual(['1 1', '2 2', '3 3'])
    expect(machine.texts).toEqual(['a', 'b', 'c'])
    expect(machine.batches).toEqual([3]) // one turn, one write, one batch
    expect(await node.query(undefined)).toBe(3)
  })

  test('sends one frame with many messages, and delivers them in order', async () => {
    const network = memoryNetwork()
    const frames: number[] = []
    const counted = (transport: Transport): Transport => ({
      contract: 1,
      maxFrameBytes: transport.maxFrameBytes,
      start: (self, receiver) => transport.start(self, receiver),
      setPeers: (peers) => transport.setPeers(peers),
      close: () => transport.close(),
      send: (to, frame, lane) => {
        frames.push(frame.length)
        transport.send(to, frame, lane)
      },
    })
    const one = await start({ transport: counted(network.transport()) })
    const two = await start({ id: 'n2', transport: network.transport() })
    await until(() => one.node.status().links.n2 === 'up' && two.node.status().links.n1 === 'up')
    await Promise.all(['a', 'b', 'c'].map((text) => one.node.propose(bytes(text))))
    await until(() => heard(two.events).length === 3)
    expect(heard(two.events)).toEqual(['a', 'b', 'c'])
    expect(frames).toHaveLength(1)
  })

  test('restarts from what was durable: the snapshot first, then the log behind it', async () => {
    const network = memoryNetwork()
    const storage = memoryStorage({ durable: true })
    const first = await start({ storage, transport: network.transport() })
    await first.node.propose(bytes('a'))
    await first.node.propose(bytes('b'))
    const snapshot = await first.node.snapshot()
    expect(snapshot).toMatchObject({ index: 2, term: 1 })
    expect(snapshot.name).toMatch(/^2-1-[0-9a-f]{8}-1-1$/)
    await first.node.propose(bytes('c'))
    const { incarnation } = first.node.status()
    await first.node.close()

    const second = await start({ storage, transport: network.transport() })
    await second.node.ready()
    expect(second.machine.texts).toEqual(['a', 'b', 'c'])
    expect(second.node.status()).toMatchObject({ incarnation, boot: 2, first: 3, machineApplied: 3 })
    expect(textOf((await second.node.propose(bytes('d'))).result)).toBe('4')
  })

  test('treats memory that outlived its node as wiped', async () => {
    const network = memoryNetwork()
    const storage = memoryStorage()
    const first = await start({ storage, transport: network.transport() })
    await first.node.propose(bytes('a'))
    const { incarnation } = first.node.status()
    await first.node.close()
    const second = await start({ storage, transport: network.transport() })
    expect(second.node.status().incarnation).not.toBe(incarnation)
    expect(second.node.status()).toMatchObject({ boot: 1, last: 0 })
  })
})

describe('nothing leaves before what it implies is durable', () => {
  test('a message waits for its write, one that implies none does not, and no acknowledgement comes early', async () => {
    const network = memoryNetwork()
    const storage = new HeldStorage()
    const one = await start({ storage, transport: network.transport() })
    const two = await start({ id: 'n2', transport: network.transport() })
    await until(() => one.node.status().links.n2 === 'up')
    storage.holding = true
    let acknowledged = 0
    for (const text of ['x', 'early y', 'z']) void one.node.propose(bytes(text)).then(() => acknowledged++)
    await until(() => heard(two.events).includes('early y'))
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(heard(two.events)).toEqual(['early y'])
    expect(acknowledged).toBe(0)
    expect(one.machine.texts).toEqual([])
    expect(one.node.status()).toMatchObject({ waitingWrites: 1, waitingCalls: 3 })
    storage.letGo()
    await until(() => acknowledged === 3)
    await until(() => heard(two.events).length === 3)
    expect(heard(two.events)).toEqual(['early y', 'x', 'z'])
  })

  test('after a failed write nothing leaves, every call is told, and everything is closed (B2, E4)', async () => {
    const network = memoryNetwork()
    const storage = new HeldStorage()
    const one = await start({ storage, transport: network.transport() })
    const two = await start({ id: 'n2', transport: network.transport() })
    await until(() => one.node.status().links.n2 === 'up')
    storage.failing = new Error('EIO')
    await expect(one.node.propose(bytes('x'))).rejects.toMatchObject({ code: 'STORAGE_FAILED', outcome: 'unknown' })
    await expect(one.node.propose(bytes('y'))).rejects.toMatchObject({ code: 'STORAGE_FAILED', outcome: 'refused' })
    await until(() => storage.closed)
    expect(one.node.status()).toMatchObject({ state: 'failed', error: { code: 'STORAGE_FAILED' } })
    expect(one.events.filter(({ type }) => type === 'stopped')).toHaveLength(1)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(heard(two.events)).toEqual([])
    await one.node.close()
  })

  test('a disk that never answers holds up only what needs it (B35)', async () => {
    const storage = new HeldStorage()
    const { node, machine } = await start({ storage, transport: memoryNetwork().transport() })
    await node.propose(bytes('a'))
    storage.holding = true
    const stuck = node.propose(bytes('b'), { timeout: 200 })
    expect(await node.query(undefined)).toBe(1)
    expect(await node.query(undefined, { consistency: 'stale' })).toBe(1)
    await expect(stuck).rejects.toMatchObject({ code: 'TIMEOUT', outcome: 'unknown' })
    expect(node.status().state).toBe('running')
    expect(machine.texts).toEqual(['a'])
    storage.holding = false
    storage.letGo()
    await until(() => machine.texts.length === 2) // it had been placed
  })
})

describe('calls', () => {
  test('that are refused say so: certainly not', async () => {
    const { node } = await start({ transport: memoryNetwork().transport() })
    await expect(node.propose(bytes('refuse'))).rejects.toMatchObject({
      code: 'OVERLOADED',
      outcome: 'refused',
      retryable: true,
      leaderHint: 'n9',
    })
    await expect(node.members.remove('n2')).rejects.toMatchObject({ code: 'MEMBERSHIP_FIXED', outcome: 'refused' })
    expect(await node.transferLeadership('n2')).toBe('n2')
  })

  test('aborted before they were placed did not happen; afterwards nobody knows', async () => {
    const { node, machine } = await start({ transport: memoryNetwork().transport() })
    const early = new AbortController()
    const refused = node.propose(bytes('a'), { signal: early.signal })
    early.abort()
    await expect(refused).rejects.toMatchObject({ code: 'ABORTED', outcome: 'refused' })
    await expect(node.propose(bytes('b'), { signal: early.signal })).rejects.toMatchObject({ outcome: 'refused' })
    const late = new AbortController()
    const unknown = node.propose(bytes('lose'), { signal: late.signal })
    await node.propose(bytes('c'))
    late.abort()
    await expect(unknown).rejects.toMatchObject({ code: 'ABORTED', outcome: 'unknown' })
    expect(machine.texts).toEqual(['c'])
    expect(node.status().waitingCalls).toBe(0)
  })

  test('beyond the limits are refused at once', async () => {
    const limits = { waitingCalls: 3, waitingBytes: 100 }
    const { node } = await start({ transport: memoryNetwork().transport(), limits })
    const waiting = [1, 2, 3].map(() => node.propose(bytes('lose'), { timeout: 100 }).catch((error) => error.outcome))
    await expect(node.propose(bytes('d'))).rejects.toMatchObject({
      code: 'OVERLOADED',
      outcome: 'refused',
      retryable: true,
    })
    expect(await Promise.all(waiting)).toEqual(['unknown', 'unknown', 'unknown'])
    await expect(node.propose(new Uint8Array(101))).rejects.toMatchObject({ code: 'OVERLOADED' })
    await node.propose(bytes('e'))
  })

  test('all end when the node is closed: placed ones unknown, later ones refused', async () => {
    const { node } = await start({ transport: memoryNetwork().transport() })
    const placed = node.propose(bytes('lose')).catch((error) => error)
    await node.propose(bytes('a'))
    await Promise.all([node.close(), node.close()])
    expect(await placed).toMatchObject({ code: 'CLOSED', outcome: 'unknown' })
    await expect(node.propose(bytes('b'))).rejects.toMatchObject({ code: 'CLOSED', outcome: 'refused' })
    await expect(node.query(1)).rejects.toMatchObject({ code: 'CLOSED' })
    expect(node.status().state).toBe('closed')
  })
})

describe('after a stall of the process', () => {
  test('what arrived meanwhile is stepped first, and time is told of the stall', async () => {
    const world = new World()
    const events: NodeEvent[] = []
    const starting = createNode<StateMachine>({
      id: 'n1',
      cluster: 'echoes',
      machine: new Journal(),
      members: { n1: 'a1' },
      storage: memoryStorage({ durable: true }),
      transport: memoryNetwork().transport(),
      protocol: echo,
      environment: world,
      observer: (event) => events.push(event),
      closeTimeout: 0,
    })
    await world.settle()
    const node = await starting
    const timely = node.propose(bytes('deadline100'))
    await world.pass(100)
    await timely
    expect(heard(events)).toEqual(['time 0'])

    const late = node.propose(bytes('deadline100'))
    await world.settle()
    await late
    world.stall(5000)
    const meanwhile = node.propose(bytes('meanwhile'))
    await world.settle()
    await meanwhile
    expect(heard(events)).toEqual(['time 0', 'time 4900'])
    const order = events
      .map(({ type }) => type)
      .filter((type) => type === 'stalled' || type === 'ignored' || type === 'durable')
    expect(order.lastIndexOf('ignored')).toBeGreaterThan(order.indexOf('stalled'))
    await Promise.all([node.close(), world.settle()])
  })
})
