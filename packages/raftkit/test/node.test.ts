import { memoryStorage } from '@raftkit/storage-memory'
import { memoryNetwork } from '@raftkit/transport-memory'
import { afterEach, describe, expect, expectTypeOf, test } from 'vitest'
import { createNode, defineMachine, isRefusal, type Node } from '../src/index.ts'
import { Cluster, type CounterNode, counters, until } from './cluster.ts'

let cluster: Cluster
afterEach(async () => {
  await cluster?.close()
})

const fast = { closeTimeout: 0 }

describe('three nodes', () => {
  test('found a cluster, elect a leader, and each of them serves commands and queries', async () => {
    cluster = await Cluster.start(3, fast)
    let sum = 0
    for (const node of cluster.nodes.values()) {
      expect(await node.commands.add({ key: 'visits' })).toBe(++sum)
      for (const reader of cluster.nodes.values()) expect(await reader.queries.get('visits')).toBe(sum)
    }
    const geneses = new Set([...cluster.nodes.values()].map((node) => node.status().genesis))
    expect(geneses.size).toBe(1)
    expect([...geneses][0]).toMatch(/^[0-9a-f]{32}$/)
    await cluster.converge()
  })

  test('types flow from the machine to the calls', async () => {
    const take = (node: CounterNode) => node.commands.take('a')
    const get = (node: CounterNode) => node.queries.get('a', { consistency: 'stale' })
    expectTypeOf(take).returns.resolves.toEqualTypeOf<number>()
    expectTypeOf(get).returns.resolves.toEqualTypeOf<number>()
    // @ts-expect-error there is no such command
    expectTypeOf((node: CounterNode) => node.commands.subtract).toBeFunction()
    // @ts-expect-error a key is a text
    expectTypeOf((node: CounterNode) => node.queries.get(7)).toBeFunction()
  })

  test('a refusal of a command reaches the caller as it was thrown', async () => {
    cluster = await Cluster.start(3, fast)
    const node = await cluster.follower()
    const refusal = await node.commands.take('nothing').catch((error) => error)
    expect(isRefusal(refusal)).toBe(true)
    expect(refusal).toMatchObject({ code: 'EMPTY', message: 'there is none' })
    expect(await node.commands.add({ key: 'nothing', by: 2 })).toBe(2)
    expect(await node.commands.take('nothing')).toBe(1)
  })

  test('many commands at once through every node are applied once each, in few batches', async () => {
    cluster = await Cluster.start(3, fast)
    const calls = [...cluster.nodes.values()].flatMap((node) =>
      Array.from({ length: 500 }, () => node.commands.add({ key: 'all' })),
    )
    const sums = await Promise.all(calls)
    expect(new Set(sums).size).toBe(1500)
    expect(Math.max(...sums)).toBe(1500)
    const writes = cluster.eventsOf('durable').length
    expect(writes).toBeLessThan(1500)
    await cluster.converge()
  })

  test('a single node is a cluster, too', async () => {
    cluster = await Cluster.start(1, fast)
    expect(await cluster.node('n1').commands.add({ key: 'a' })).toBe(1)
    expect(await cluster.node('n1').queries.get('a')).toBe(1)
  })
})

describe('when the leader dies', () => {
  test('commands under way are executed exactly once (Q8)', async () => {
    cluster = await Cluster.start(3, { ...fast, sessions: { attemptTimeout: 500 } })
    const leader = await cluster.leader()
    const survivors = [...cluster.nodes.values()].filter((node) => node !== leader)
    let sent = 0
    let stop = false
    const client = async (node: CounterNode): Promise<void> => {
      while (!stop) {
        sent++
        await node.commands.add({ key: 'once' })
      }
    }
    const clients = survivors.flatMap((node) => Array.from({ length: 10 }, () => client(node)))
    await until(() => sent > 200)
    await cluster.kill(leader.id)
    const before = sent
    await until(() => sent > before + 200)
    stop = true
    await Promise.all(clients)
    expect(await survivors[0]!.queries.get('once')).toBe(sent)

    const back = await cluster.start(leader.id)
    await back.ready()
    expect(await back.queries.get('once')).toBe(sent)
    await cluster.converge()
  })

  test('its own callers learn that the outcome is unknown', async () => {
    cluster = await Cluster.start(3, fast)
    const leader = await cluster.leader()
    await leader.commands.add({ key: 'a' })
    cluster.network.isolate(leader.id)
    const lost = leader.commands.add({ key: 'a' }, { timeout: 400 }).catch((error) => error)
    expect(await lost).toMatchObject({ code: 'TIMEOUT', outcome: 'unknown' })
  })
})

describe('over a bad network', () => {
  test('loss, duplicates and reordering change nothing but the time it takes', async () => {
    const network = memoryNetwork({ seed: 7 })
    cluster = await Cluster.start(3, { ...fast, sessions: { attemptTimeout: 400 } }, network)
    network.weather({ loss: 0.05, duplicate: 0.1, reorder: 0.1, delay: [0, 15] })
    const nodes = [...cluster.nodes.values()]
    const calls = Array.from({ length: 300 }, (_, i) => nodes[i % 3]!.commands.add({ key: 'storm' }))
    const sums = await Promise.all(calls)
    expect(new Set(sums).size).toBe(300)
    network.weather({ loss: 0, duplicate: 0, reorder: 0, delay: 0 })
    for (const node of nodes) expect(await node.queries.get('storm')).toBe(300)
    await cluster.converge()
  })
})

describe('reads', () => {
  test('of a leader that is cut off are not answered; stale ones are, with what it has (Q1)', async () => {
    cluster = await Cluster.start(3, fast)
    const old = await cluster.leader()
    await old.commands.add({ key: 'a' })
    cluster.network.isolate(old.id)
    const rest = [...cluster.nodes.keys()].filter((id) => id !== old.id)
    const leader = await cluster.leader(rest)
    await leader.commands.add({ key: 'a' })
    await expect(old.queries.get('a', { timeout: 300 })).rejects.toMatchObject({ outcome: 'refused' })
    expect(await old.queries.get('a', { consistency: 'stale' })).toBe(1)
    expect(await leader.queries.get('a')).toBe(2)
    cluster.network.heal()
    expect(await old.queries.get('a')).toBe(2)
  })

  test('by lease need no round while the leader is heard, and are fresh on every node', async () => {
    cluster = await Cluster.start(3, { ...fast, leases: { drift: 0.1 } })
    const leader = await cluster.leader()
    for (let i = 1; i <= 20; i++) {
      await leader.commands.add({ key: 'a' })
      expect(await leader.queries.get('a', { consistency: 'lease' })).toBe(i)
    }
    const follower = await cluster.follower()
    expect(await follower.queries.get('a', { consistency: 'lease' })).toBe(20)
  })

  test('under way when the leader dies are answered by the next one', async () => {
    cluster = await Cluster.start(3, fast)
    const leader = await cluster.leader()
    await leader.commands.add({ key: 'a' })
    const follower = await cluster.follower()
    const [answer] = await Promise.all([follower.queries.get('a'), cluster.kill(leader.id)])
    expect(answer).toBe(1)
    expect(await follower.queries.get('a')).toBe(1)
  })

  test('aborted leave nothing behind', async () => {
    cluster = await Cluster.start(3, fast)
    const node = cluster.node('n1')
    const abort = new AbortController()
    const reading = node.queries.get('a', { signal: abort.signal })
    abort.abort(new Error('enough'))
    await expect(reading).rejects.toMatchObject({ code: 'ABORTED', outcome: 'refused' })
    await node.queries.get('a')
    expect(node.status().waitingCalls).toBe(0)
  })
})

describe('snapshots', () => {
  const small = { ...fast, snapshots: { everyEntries: 100, trailingEntries: 10 } }

  test('compact the log, and a member that was away for long catches up by one', async () => {
    cluster = await Cluster.start(3, small)
    const leader = await cluster.leader()
    const away = await cluster.follower()
    cluster.network.isolate(away.id)
    for (let i = 0; i < 10; i++)
      await Promise.all(Array.from({ length: 50 }, () => leader.commands.add({ key: `k${i}` })))
    await until(() => leader.status().first > 300)
    expect(away.status().last).toBeLessThan(leader.status().first)
    cluster.network.heal()
    await until(() => away.status().machineApplied >= 500)
    await until(() => cluster.eventsOf('snapshot').some(({ step, node }) => step === 'installed' && node === away.id))
    expect(away.status().first).toBeGreaterThan(1)
    expect(await away.queries.get('k9')).toBe(50)
    await cluster.converge()

    // What it took over is what it starts from.
    await cluster.kill(away.id)
    const back = await cluster.start(away.id)
    await back.ready()
    expect(await back.queries.get('k3')).toBe(50)
    await cluster.converge()
  })

  test('larger than a frame are fetched piece by piece', async () => {
    const network = memoryNetwork({ maxFrameBytes: 65_536 })
    cluster = await Cluster.start(3, { ...fast, snapshots: false }, network)
    const leader = await cluster.leader()
    const away = await cluster.follower()
    network.isolate(away.id)
    const key = 'k'.repeat(1000)
    for (let i = 0; i < 400; i++) await leader.commands.add({ key: `${key}${i}` })
    const snapshot = await leader.snapshot()
    expect(snapshot.bytes).toBeGreaterThan(4 * 65_536)
    network.heal()
    await until(() => away.status().machineApplied >= 400)
    expect(await away.queries.get(`${key}399`)).toBe(1)
    await cluster.converge()
  })
})

describe('a restart', () => {
  test('of all nodes at once finds what was acknowledged', async () => {
    cluster = await Cluster.start(3, fast)
    for (let i = 0; i < 50; i++) await cluster.node('n1').commands.add({ key: 'a' })
    const { genesis } = cluster.node('n1').status()
    const incarnations = [...cluster.nodes.values()].map((node) => node.status().incarnation)
    await cluster.close()
    await Promise.all(['n1', 'n2', 'n3'].map((id) => cluster.start(id)))
    for (const node of cluster.nodes.values()) {
      await node.ready()
      expect(await node.queries.get('a')).toBe(50)
      expect(node.status()).toMatchObject({ genesis, boot: 2 })
    }
    expect([...cluster.nodes.values()].map((node) => node.status().incarnation)).toEqual(incarnations)
  })

  test('with another list of members warns, and the log rules', async () => {
    cluster = await Cluster.start(3, fast)
    await cluster.kill('n3')
    await cluster.start('n3', { members: { n3: 'at-n3', n8: 'nowhere' } })
    await cluster.node('n3').ready()
    expect(cluster.eventsOf('warning')).toMatchObject([{ node: 'n3', code: 'MEMBERS_DIFFER' }])
    expect(
      cluster
        .node('n3')
        .status()
        .config.members.map(({ id }) => id),
    ).toEqual(['n1', 'n2', 'n3'])
  })

  test('under another id or cluster name is refused, and everything is closed again', async () => {
    cluster = await Cluster.start(1, fast)
    await cluster.close()
    const storage = cluster.storages.get('n1')!
    const options = { machine: counters, members: { n2: 'a', n1: 'b' }, storage, closeTimeout: 0 }
    for (const wrong of [
      { id: 'n2', cluster: 'counters' },
      { id: 'n1', cluster: 'others' },
    ])
      await expect(createNode({ ...options, ...wrong, transport: memoryNetwork().transport() })).rejects.toMatchObject({
        code: 'REFUSED',
      })
    cluster.nodes.clear()
    await cluster.start('n1') // its log was closed each time
    await cluster.node('n1').ready()
  })

  test('is refused while another node holds the storage', async () => {
    cluster = await Cluster.start(1, fast)
    const second = createNode({
      id: 'n1',
      cluster: 'counters',
      machine: counters,
      members: { n1: 'at-n1' },
      storage: Object.assign(Object.create(cluster.storages.get('n1')!), {
        log: () => cluster.storages.get('n1')!.log('main'),
        snapshots: () => cluster.storages.get('n1')!.snapshots('main'),
        close: async () => undefined,
      }),
      transport: memoryNetwork().transport(),
    })
    await expect(second).rejects.toMatchObject({ code: 'LOCKED' })
    expect(await cluster.node('n1').commands.add({ key: 'a' })).toBe(1)
  })
})

describe('leadership', () => {
  test('is handed to whom it is asked for, and commands go on', async () => {
    cluster = await Cluster.start(3, fast)
    const leader = await cluster.leader()
    const target = await cluster.follower()
    const calls = Array.from({ length: 100 }, () => target.commands.add({ key: 'a' }))
    expect(await leader.transferLeadership(target.id)).toBe(target.id)
    await Promise.all(calls)
    expect((await cluster.leader()).id).toBe(target.id)
    expect(await leader.queries.get('a')).toBe(100)
  })

  test('is not handed to a stranger', async () => {
    cluster = await Cluster.start(3, fast)
    const leader = await cluster.leader()
    await expect(leader.transferLeadership('n9')).rejects.toMatchObject({ outcome: 'refused' })
  })
})

describe('close', () => {
  test('hands leadership over before it leaves', async () => {
    cluster = await Cluster.start(3)
    const leader = await cluster.leader()
    const { term } = leader.status()
    cluster.nodes.delete(leader.id)
    await leader.close()
    const next = await cluster.leader()
    expect(next.id).not.toBe(leader.id)
    expect(next.status().term).toBe(term + 1) // one election, that nobody waited for
    expect(await next.commands.add({ key: 'a' })).toBe(1)
    expect(cluster.eventsOf('closed').map(({ node }) => node)).toEqual([leader.id])
  })

  test('is idempotent, ends calls, and refuses later ones; await using works', async () => {
    cluster = await Cluster.start(3, fast)
    const node = cluster.node('n1')
    cluster.network.isolate('n1')
    const pending = node.commands.add({ key: 'a' }).catch((error) => error)
    const reading = node.queries.get('a').catch((error) => error)
    await new Promise((resolve) => setTimeout(resolve, 50))
    await Promise.all([node.close(), node.close(), node[Symbol.asyncDispose]()])
    expect(await pending).toMatchObject({ code: 'CLOSED' })
    expect(await reading).toMatchObject({ code: 'CLOSED' })
    await expect(node.commands.add({ key: 'a' })).rejects.toMatchObject({ code: 'CLOSED', outcome: 'refused' })
    await expect(node.queries.get('a')).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(node.ready()).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(node.snapshot()).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(node.transferLeadership()).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(node.members.remove('n2')).rejects.toMatchObject({ code: 'CLOSED' })
    expect(node.status().state).toBe('closed')
  })
})

describe('a command with a bug', () => {
  test('stops every replica that reaches it, at the same entry, and says so (B62, R17)', async () => {
    cluster = await Cluster.start(3, fast)
    const node = cluster.node('n1')
    await node.commands.add({ key: 'a' })
    await expect(node.commands.explode()).rejects.toMatchObject({ code: 'MACHINE_MISMATCH', outcome: 'unknown' })
    // The third may never learn that the entry was committed: two have stopped, and nobody is left to tell it.
    await until(() => cluster.eventsOf('stopped').length >= 2)
    const applied = [...cluster.nodes.values()].map((each) => each.status().machineApplied)
    expect(new Set(applied).size).toBe(1)
    for (const { error } of cluster.eventsOf('stopped')) expect(error.message).toMatch(/"explode" of entry \d+ threw/)
    await expect(node.commands.add({ key: 'a' })).rejects.toMatchObject({ code: 'MACHINE_MISMATCH' })
  })
})

describe('a new version of the machine', () => {
  test('comes into force once every member runs it, not before', async () => {
    const versioned = (version: number) =>
      defineMachine({
        version,
        initial: () => ({ n: 0 }),
        commands: { add: (state, _: undefined, { version }) => (state.n += version) },
      })
    const network = memoryNetwork()
    const storages = [1, 2, 3].map(() => memoryStorage({ durable: true }))
    const members = { n1: 'a1', n2: 'a2', n3: 'a3' }
    const start = (i: number, version: number) =>
      createNode({
        id: `n${i + 1}`,
        cluster: 'versions',
        machine: versioned(version),
        members,
        storage: storages[i]!,
        transport: network.transport(),
        timing: { electionTimeout: 200, heartbeatInterval: 20 },
        closeTimeout: 0,
      })
    const nodes: Node<ReturnType<typeof versioned>>[] = await Promise.all([0, 1, 2].map((i) => start(i, 1)))
    await Promise.all(nodes.map((node) => node.ready()))
    expect(await nodes[0]!.commands.add()).toBe(1)
    for (const i of [0, 1]) {
      await nodes[i]!.close()
      nodes[i] = await start(i, 2)
      await nodes[i]!.ready()
      expect(await nodes[i]!.commands.add()).toBe(2 + i) // still the old meaning
    }
    await nodes[2]!.close()
    nodes[2] = await start(2, 2)
    await nodes[2]!.ready()
    let last = 3
    await until(async () => {
      const next = await nodes[2]!.commands.add()
      const grown = next - last
      last = next
      return grown === 2
    })
    await Promise.all(nodes.map((node) => node.close()))
  })
})
