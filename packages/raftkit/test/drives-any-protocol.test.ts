import {
  type LogStore,
  type LogWrite,
  RaftkitError,
  type Receiver,
  type StateMachine,
  type Storage,
  type Transport,
} from '@raftkit/contract'
import { memoryStorage } from '@raftkit/storage-memory'
import { memoryNetwork } from '@raftkit/transport-memory'
import { afterEach, describe, expect, test } from 'vitest'
import { encodeFrame } from '../src/frame.ts'
import { createNode, type Node, type NodeEvent, type NodeOptions } from '../src/index.ts'
import { echo } from './echo.ts'
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

const open: Node<StateMachine>[] = []
afterEach(async () => {
  for (const node of open.splice(0)) await node.close()
})

interface Started {
  readonly node: Node<StateMachine>
  readonly machine: Journal
  readonly events: NodeEvent[]
}

async function start(
  options: Partial<NodeOptions<StateMachine>> & { readonly transport: Transport },
): Promise<Started> {
  const machine = new Journal()
  const events: NodeEvent[] = []
  const node = await createNode<StateMachine>({
    id: 'n1',
    cluster: 'echoes',
    machine,
    members: { n1: 'a1', n2: 'a2' },
    storage: memoryStorage({ durable: true }),
    protocol: echo,
    observer: (event) => events.push(event),
    closeTimeout: 0,
    ...options,
  })
  open.push(node)
  return { node, machine, events }
}

const heard = (events: readonly NodeEvent[]): string[] =>
  events.flatMap((event) => (event.type === 'ignored' ? [event.reason] : []))

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2))
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

describe('the state machine', () => {
  test('that throws stops the node visibly, and no entry is skipped (B62, R17)', async () => {
    const { node, machine, events } = await start({ transport: memoryNetwork().transport() })
    await node.propose(bytes('a'))
    const poison = node.propose(bytes('poison')).catch((error) => error)
    const behind = node.propose(bytes('b')).catch((error) => error)
    expect(await poison).toMatchObject({ code: 'MACHINE_MISMATCH', outcome: 'unknown' })
    expect(await behind).toMatchObject({ code: 'MACHINE_MISMATCH', outcome: 'unknown' })
    await expect(node.query(1, { consistency: 'stale' })).rejects.toMatchObject({ code: 'MACHINE_MISMATCH' })
    expect(machine.texts).toEqual(['a'])
    expect(node.status()).toMatchObject({ state: 'failed', machineApplied: 1 })
    expect(events.at(-1)?.type).toBe('stopped')
  })

  test('may throw at a question: that is the answer, and nothing stops', async () => {
    const { node } = await start({ transport: memoryNetwork().transport() })
    await expect(node.query('bad')).rejects.toThrow('no such question')
    await node.propose(bytes('a'))
  })

  test('is asked between batches only, and a read waits until it has come far enough (Q4)', async () => {
    const { node, machine } = await start({ transport: memoryNetwork().transport() })
    machine.slow = true
    const first = node.propose(bytes('a'))
    await until(() => machine.release !== undefined)
    let answer: unknown
    const reading = node.query(undefined).then((count) => {
      answer = count
    })
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(answer).toBeUndefined()
    machine.release!()
    await Promise.all([first, reading])
    expect(answer).toBe(1)
    machine.slow = false
  })

  test('is not asked after the batch before the one a read must see (Q4, etcd#13464)', async () => {
    const { node, machine } = await start({ transport: memoryNetwork().transport() })
    machine.slow = true
    const first = node.propose(bytes('a'))
    await until(() => machine.release !== undefined)
    const second = node.propose(bytes('b'))
    await until(() => node.status().commit === 2)
    const reading = node.query(undefined)
    await new Promise((resolve) => setTimeout(resolve, 20))
    const releaseFirst = machine.release!
    machine.release = undefined
    releaseFirst()
    await until(() => machine.release !== undefined)
    machine.release!()
    await Promise.all([first, second])
    expect(await reading).toBe(2)
    machine.slow = false
  })

  test('that gives too few results is a mismatch, not a guess', async () => {
    const { node, machine } = await start({ transport: memoryNetwork().transport() })
    machine.apply = () => []
    await expect(node.propose(bytes('a'))).rejects.toMatchObject({ code: 'MACHINE_MISMATCH' })
  })
})

describe('a lease read', () => {
  test('counts only if the lease still holds once the answer was computed; otherwise a round answers (Q5, Q6, B40)', async () => {
    const world = new World()
    const machine = new Journal()
    const starting = createNode<StateMachine>({
      id: 'n1',
      cluster: 'echoes',
      machine,
      members: { n1: 'a1' },
      storage: memoryStorage({ durable: true }),
      transport: memoryNetwork().transport(),
      protocol: echo,
      environment: world,
      leases: { drift: 0.1 },
      closeTimeout: 0,
    })
    await world.settle()
    const node = await starting
    let asked = 0
    machine.query = () => {
      if (asked++ === 0) world.stall(11) // longer than the lease of the echo
      return asked
    }
    const slow = node.query(undefined, { consistency: 'lease' })
    await world.settle()
    expect(await slow).toBe(2) // the first answer was thrown away
    const quick = node.query(undefined, { consistency: 'lease' })
    await world.settle()
    expect(await quick).toBe(3)
    expect(node.prometheus()).toMatch(/raft_reads_total\{[^}]*mode="linearizable"\} 1/)
    expect(node.prometheus()).toMatch(/raft_reads_total\{[^}]*mode="lease"\} 1/)
    await Promise.all([node.close(), world.settle()])
  })

  test('needs the option, and says so', async () => {
    const { node } = await start({ transport: memoryNetwork().transport() })
    await expect(node.query(1, { consistency: 'lease' })).rejects.toMatchObject({ code: 'INVALID_OPTION' })
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

describe('snapshots', () => {
  test('are taken by themselves after so many entries, while entries go on being applied', async () => {
    const { node, events } = await start({ transport: memoryNetwork().transport(), snapshots: { everyEntries: 10 } })
    for (let i = 0; i < 35; i++) await node.propose(bytes(`${i}`))
    await until(() => (node.status().snapshot?.index ?? 0) >= 30)
    const taken = events.filter(({ type }) => type === 'saved').length
    expect(taken).toBeGreaterThanOrEqual(2)
    expect(node.status().first).toBe(node.status().snapshot!.index + 1)
  })

  test('asked for while one is being taken: another follows, and every promise settles (B56)', async () => {
    const { node, machine } = await start({ transport: memoryNetwork().transport() })
    await node.propose(bytes('a'))
    let resume!: () => void
    const original = machine.snapshot.bind(machine)
    machine.snapshot = async function* () {
      const frozen = bytes(JSON.stringify([...machine.texts]))
      await new Promise<void>((resolve) => {
        resume = resolve
      })
      yield frozen
    }
    const first = node.snapshot()
    await until(() => resume !== undefined)
    await node.propose(bytes('b')) // applied while the snapshot is being written
    const second = node.snapshot()
    machine.snapshot = original
    resume()
    expect(await first).toMatchObject({ index: 1 })
    expect(await second).toMatchObject({ index: 2 })
  })

  test('that the machine cannot give are reported and tried again; the node goes on', async () => {
    const { node, machine, events } = await start({
      transport: memoryNetwork().transport(),
      snapshots: { everyEntries: 10 },
    })
    const original = machine.snapshot.bind(machine)
    machine.snapshot = () => {
      throw new Error('not now')
    }
    await node.propose(bytes('a'))
    await expect(node.snapshot()).rejects.toThrow('not now')
    machine.snapshot = original
    for (let i = 0; i < 30; i++) await node.propose(bytes(`${i}`))
    await until(() => node.status().snapshot !== undefined)
    expect(events.some((event) => event.type === 'snapshotting' && event.step === 'failed')).toBe(true)
    expect(node.status().state).toBe('running')
  })

  test('for which the disk has no room are given up and tried again; the node goes on (design, rule 7)', async () => {
    const storage = memoryStorage({ durable: true })
    let isFull = true
    const { node, events } = await start({
      transport: memoryNetwork().transport(),
      snapshots: { everyEntries: 10 },
      storage: Object.assign(Object.create(storage), {
        log: (group: string) => storage.log(group),
        close: () => storage.close(),
        snapshots: async (group: string) => {
          const store = await storage.snapshots(group)
          const noRoom = () =>
            Promise.reject(new RaftkitError('STORAGE_FAILED', 'no space left; free some', { retryable: true }))
          return {
            open: (name: string) => store.open(name),
            create: (name: string) => (isFull ? noRoom() : store.create(name)),
            retain: (names: readonly string[]) => store.retain(names),
          }
        },
      } satisfies Pick<Storage, 'log' | 'snapshots' | 'close'>),
    })
    await node.propose(bytes('a'))
    await expect(node.snapshot()).rejects.toMatchObject({ code: 'STORAGE_FAILED', retryable: true })
    isFull = false
    for (let i = 0; i < 30; i++) await node.propose(bytes(`${i}`))
    await until(() => node.status().snapshot !== undefined)
    expect(events.some((event) => event.type === 'snapshotting' && event.step === 'failed')).toBe(true)
    expect(node.status().state).toBe('running')
  })
})

describe('frames that must not be believed', () => {
  test('are refused, counted, and change nothing', async () => {
    const { receiver, transport } = tapped()
    const { node, events } = await start({ transport })
    const { incarnation, genesis } = node.status()
    const message = { group: 'main', from: 'e'.repeat(32), to: '', parts: echoParts('hello') }
    const frame = (genesis: string, difference: Partial<typeof message>): Uint8Array =>
      Uint8Array.from(Buffer.concat(encodeFrame('control', genesis, [{ ...message, ...difference }])))
    // The connection by which such a frame came is closed.
    expect(receiver().frame('n2', new Uint8Array([1, 2, 3]))).toBe(false)
    expect(receiver().frame('n2', frame('d'.repeat(32), {}))).toBe(false)
    expect(receiver().frame('n2', frame(genesis, { to: 'f'.repeat(32) }))).toBe(true)
    expect(receiver().frame('n2', frame(genesis, { group: 'other' }))).toBe(true)
    expect(receiver().frame('n2', frame(genesis, { parts: [bytes('no message')] }))).toBe(true)
    await node.propose(bytes('a'))
    expect(heard(events)).toEqual([])
    const refused = events.flatMap((event) => (event.type === 'refused' ? [event.code] : []))
    expect(refused).toEqual(['MALFORMED', 'REFUSED', 'MALFORMED'])
    expect(events.filter(({ type }) => type === 'dropped')).toHaveLength(2)
    receiver().frame('n2', frame(genesis, { to: incarnation }))
    await node.propose(bytes('b'))
    expect(heard(events)).toEqual(['hello'])
    expect(node.prometheus()).toMatch(/raft_refused_total\{[^}]*code="MALFORMED"\} 2/)
  })

  test('do not fill the memory while the process has no turn: bulk is dropped, control is not', async () => {
    const { receiver, transport } = tapped()
    const { node, events } = await start({ transport, limits: { backlogBytes: 65_536 } })
    const { genesis } = node.status()
    const frame = (lane: 'control' | 'bulk', text: string): Uint8Array => {
      const message = { group: 'main', from: 'e'.repeat(32), to: '', parts: echoParts(text) }
      return Uint8Array.from(Buffer.concat(encodeFrame(lane, genesis, [message])))
    }
    for (const name of ['one', 'two', 'three']) receiver().frame('n2', frame('bulk', name.padEnd(30_000)))
    receiver().frame('n2', frame('control', 'vote'))
    await node.propose(bytes('a'))
    expect(heard(events).map((text) => text.trim())).toEqual(['vote', 'one', 'two'])
    expect(events.filter(({ type }) => type === 'dropped')).toHaveLength(1)
    receiver().frame('n2', frame('bulk', 'four')) // a turn later there is room again
    await node.propose(bytes('b'))
    expect(heard(events)).toContain('four')
  })
})

/** A transport whose receiver the test can call. */
function tapped(): { readonly receiver: () => Receiver; readonly transport: Transport } {
  const inner = memoryNetwork().transport()
  let receiver: Receiver | undefined
  const transport: Transport = {
    contract: 1,
    maxFrameBytes: inner.maxFrameBytes,
    start: (self, given) => {
      receiver = given
      return inner.start(self, given)
    },
    send: (to, frame, lane) => inner.send(to, frame, lane),
    setPeers: (peers) => inner.setPeers(peers),
    close: () => inner.close(),
  }
  return { receiver: () => receiver!, transport }
}

function echoParts(text: string): readonly Uint8Array[] {
  const part = (value: string): Uint8Array => {
    const data = bytes(value)
    const part = new Uint8Array(4 + data.length)
    new DataView(part.buffer).setUint32(0, data.length, true)
    part.set(data, 4)
    return part
  }
  return [part('echo'), part(text)]
}
