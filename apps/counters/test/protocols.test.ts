import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { certifiedRaft, encodeRequest, founding, type Request, requestCheck } from '@raftkit/bft'
import type { NodeId, Storage, Transport } from '@raftkit/contract'
import { ed25519, generateKey, type PrivateKey, sha256, sign } from '@raftkit/ed25519'
import { memoryStorage } from '@raftkit/storage-memory'
import { walStorage } from '@raftkit/storage-wal'
import { grpcTransport } from '@raftkit/transport-grpc'
import { memoryNetwork } from '@raftkit/transport-memory'
import { createNode, decodeResult, defineMachine, encodeCommand, type Node, type NodeOptions, Refusal } from 'raftkit'
import { afterEach, describe, expect, test } from 'vitest'

const counters = defineMachine({
  initial: () => new Map<string, number>(),
  commands: {
    add: (counts, { key, by = 1 }: { key: string; by?: number }) => {
      const sum = (counts.get(key) ?? 0) + by
      counts.set(key, sum)
      return sum
    },
    take: (counts, key: string) => {
      const count = counts.get(key) ?? 0
      if (count === 0) throw new Refusal('there is none', { code: 'EMPTY' })
      counts.set(key, count - 1)
      return count - 1
    },
  },
  queries: { get: (counts, key: string) => counts.get(key) ?? 0 },
})

type CounterNode = Node<typeof counters>
type Options = Partial<NodeOptions<typeof counters>>

const ids: readonly NodeId[] = ['n1', 'n2', 'n3', 'n4']
const keys: ReadonlyMap<NodeId, PrivateKey> = new Map(ids.map((id) => [id, generateKey()]))
const voters = ids.map((id) => ({ id, key: keys.get(id)!.public }))

/** All that tells the two apart. */
const protocols: Readonly<Record<string, (id: NodeId) => Options>> = {
  Raft: () => ({}),
  'certified Raft': (id) => ({
    protocol: certifiedRaft({ members: voters, digest: sha256 }),
    signatures: ed25519(keys.get(id)!),
  }),
  'certified Raft with a checkpoint every four entries': (id) => ({
    protocol: certifiedRaft({ members: voters, digest: sha256, checkpointEntries: 4 }),
    signatures: ed25519(keys.get(id)!),
  }),
}

interface Place {
  address(id: NodeId): string
  storage(id: NodeId): Storage
  transport(id: NodeId): Transport
}

const clean: (() => unknown)[] = []
afterEach(async () => {
  for (const end of clean.splice(0).reverse()) await end()
})

const places: Readonly<Record<string, () => Promise<Place>>> = {
  'in memory': async () => {
    const network = memoryNetwork()
    const storages = new Map(ids.map((id) => [id, memoryStorage({ durable: true })]))
    return {
      address: (id) => `at-${id}`,
      storage: (id) => storages.get(id)!,
      transport: () => network.transport(),
    }
  },
  'over gRPC, on a write-ahead log': async () => {
    const directory = mkdtempSync(join(tmpdir(), 'raftkit-protocols-'))
    clean.push(() => rmSync(directory, { recursive: true, force: true }))
    const ports = new Map<NodeId, number>()
    for (const id of ids) ports.set(id, await freePort())
    return {
      address: (id) => `127.0.0.1:${ports.get(id)}`,
      storage: (id) => walStorage(join(directory, id)),
      transport: () => grpcTransport(),
    }
  },
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

class Cluster {
  readonly nodes = new Map<NodeId, CounterNode>()
  readonly #place: Place
  readonly #options: (id: NodeId) => Options

  constructor(place: Place, options: (id: NodeId) => Options) {
    this.#place = place
    this.#options = options
    clean.push(() => Promise.all([...this.nodes.values()].map((node) => node.close())))
  }

  async start(id: NodeId): Promise<CounterNode> {
    const node = await createNode({
      ...{ id, cluster: 'counters', machine: counters },
      members: Object.fromEntries(ids.map((each) => [each, this.#place.address(each)])),
      ...{ storage: this.#place.storage(id), transport: this.#place.transport(id) },
      ...{ timing: { electionTimeout: 300 }, closeTimeout: 0 },
      ...this.#options(id),
    })
    this.nodes.set(id, node)
    return node
  }

  async startAll(): Promise<void> {
    await Promise.all(ids.map((id) => this.start(id)))
    await Promise.all(this.all.map((node) => node.ready()))
  }

  async stop(id: NodeId): Promise<void> {
    const node = this.nodes.get(id)!
    this.nodes.delete(id)
    await node.close()
  }

  get all(): CounterNode[] {
    return [...this.nodes.values()]
  }

  node(id: NodeId): CounterNode {
    return this.nodes.get(id)!
  }

  /** Equal hashes at equal places, once all have come as far as the furthest. */
  async agree(): Promise<void> {
    await Promise.all(this.all.map((node) => node.queries.get('anything')))
    const furthest = Math.max(...this.all.map((node) => node.status().machineApplied))
    for (;;) {
      const hashes = await Promise.all(this.all.map((node) => node.hash()))
      const [first] = hashes
      if (hashes.every(({ index }) => index === first!.index && index >= furthest)) {
        expect(new Set(hashes.map(({ hash }) => Buffer.from(hash).toString('hex'))).size).toBe(1)
        return
      }
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
}

for (const [protocol, options] of Object.entries(protocols))
  describe.each(Object.entries(places))(`${protocol}, %s`, { timeout: 60_000 }, (_, place) => {
    test('what any node is asked, every node has: results, refusals, linearizable reads', async () => {
      const cluster = new Cluster(await place(), options)
      await cluster.startAll()
      for (const [at, node] of cluster.all.entries()) expect(await node.commands.add({ key: 'a' })).toBe(at + 1)
      for (const node of cluster.all) expect(await node.queries.get('a')).toBe(4)
      await expect(cluster.node('n2').commands.take('b')).rejects.toMatchObject({ code: 'EMPTY' })
      await cluster.agree()
    })

    test('many commands at once on all nodes are executed once each, in one order', async () => {
      const cluster = new Cluster(await place(), options)
      await cluster.startAll()
      const sums = await Promise.all(
        Array.from({ length: 400 }, (_, i) => cluster.all[i % 4]!.commands.add({ key: 'many' })),
      )
      expect([...sums].sort((a, b) => a - b)).toEqual(Array.from({ length: 400 }, (_, i) => i + 1))
      await cluster.agree()
    })

    test('a follower that stops and comes back has missed nothing', async () => {
      const cluster = new Cluster(await place(), options)
      await cluster.startAll()
      const leader = cluster.node('n1').status().leader!
      const follower = ids.find((id) => id !== leader)!
      await cluster.node(leader).commands.add({ key: 'a', by: 3 })
      await cluster.stop(follower)
      for (let i = 0; i < 20; i++) await cluster.node(leader).commands.add({ key: 'a' })
      const back = await cluster.start(follower)
      await back.ready()
      expect(await back.queries.get('a')).toBe(23)
      await cluster.agree()
    })

    test('a leader that stops is replaced, and what was acknowledged stays', async () => {
      const cluster = new Cluster(await place(), options)
      await cluster.startAll()
      const leader = cluster.node('n1').status().leader!
      const other = cluster.node(ids.find((id) => id !== leader)!)
      await other.commands.add({ key: 'a', by: 5 })
      await cluster.stop(leader)
      for (let i = 0; i < 5; i++) await other.commands.add({ key: 'a' })
      expect(await other.queries.get('a')).toBe(10)
      await cluster.start(leader)
      await cluster.node(leader).ready()
      expect(await cluster.node(leader).queries.get('a')).toBe(10)
      await cluster.agree()
    })

    test('a cluster that stops as a whole comes back with all that was acknowledged', async () => {
      const where = await place()
      const cluster = new Cluster(where, options)
      await cluster.startAll()
      await Promise.all(cluster.all.map((node) => node.commands.add({ key: 'a', by: 10 })))
      for (const id of ids) await cluster.stop(id)
      await cluster.startAll()
      expect(await cluster.node('n3').queries.get('a')).toBe(40)
      await cluster.agree()
    })
  })

describe('what only certified Raft has', { timeout: 60_000 }, () => {
  const client = generateKey()
  const { genesis } = founding(sha256, { cluster: 'counters', group: 'main', members: voters }).members
  const request = (seq: number, operations: readonly Uint8Array[], key = client): Uint8Array => {
    const unsigned: Request = { client: client.public, session: 7, seq, operations, signature: new Uint8Array(0) }
    return encodeRequest({ ...unsigned, signature: sign(key, requestCheck(sha256, genesis.hash, unsigned).bytes) })
  }
  const add = (key: string, by: number): Uint8Array => encodeCommand('add', { key, by })

  async function started(): Promise<Cluster> {
    const cluster = new Cluster(await places['in memory']!(), protocols['certified Raft']!)
    await cluster.startAll()
    return cluster
  }

  test('a request that a client signed is executed once, whoever gets it and however often', async () => {
    const cluster = await started()
    const bytes = request(1, [add('s', 2), add('s', 3)])
    const answers = await Promise.all([...cluster.all, ...cluster.all].map((node) => node.submit(bytes)))
    for (const { index, results } of answers) {
      expect(index).toBe(answers[0]!.index)
      expect(results.map(decodeResult)).toEqual([2, 5])
    }
    expect((await cluster.node('n3').submit(bytes)).results.map(decodeResult)).toEqual([2, 5])
    expect(await cluster.node('n4').queries.get('s')).toBe(5)
  })

  test('what is no request, is signed by another, or takes numbers again is refused, and says why', async () => {
    const cluster = await started()
    const node = cluster.node('n2')
    await expect(node.submit(new Uint8Array(3))).rejects.toMatchObject({ code: 'REFUSED', outcome: 'refused' })
    await expect(node.submit(request(1, [new Uint8Array(0)]))).rejects.toMatchObject({ code: 'REFUSED' })
    const forged = request(1, [add('f', 1)], generateKey())
    await expect(node.submit(forged)).rejects.toMatchObject({ code: 'REFUSED', outcome: 'refused' })
    await node.submit(request(1, [add('f', 10)]))
    await expect(node.submit(request(1, [add('f', 20)]))).rejects.toMatchObject({ code: 'UNKNOWN_OUTCOME' })
    expect(await node.queries.get('f')).toBe(10)
  })

  test.each(Object.keys(places))('%s: who was away while all it lacks was pruned fetches the state', async (where) => {
    const options = protocols['certified Raft with a checkpoint every four entries']!
    const cluster = new Cluster(await places[where]!(), options)
    await cluster.startAll()
    await cluster.node('n4').commands.add({ key: 'a', by: 100 })
    await cluster.stop('n4')
    for (let i = 0; i < 60; i++) await cluster.node('n2').commands.add({ key: 'a' })
    expect(cluster.node('n2').status().snapshot?.index).toBeGreaterThan(20)
    const back = await cluster.start('n4')
    await back.ready()
    expect(await back.queries.get('a')).toBe(160)
    await cluster.agree()
    // It is one of them again: with another away, nothing goes without it.
    await cluster.stop('n3')
    await back.commands.add({ key: 'a' })
    for (let i = 0; i < 12; i++) await cluster.node('n2').commands.add({ key: 'a' })
    await cluster.stop('n4')
    await cluster.start('n3')
    await cluster.start('n4')
    expect(await cluster.node('n4').queries.get('a')).toBe(173)
    await cluster.agree()
  })

  test('a member whose key fails stops and says so, and the others go on without it', async () => {
    let isBroken = false
    const options = (id: NodeId): Options => {
      const given = protocols['certified Raft']!(id)
      const { signatures } = given as Required<Options>
      const sign = (bytes: Uint8Array) => {
        if (isBroken) throw new Error('the device is gone')
        return signatures.sign(bytes)
      }
      return id === 'n4' ? { ...given, signatures: { ...signatures, sign } } : given
    }
    const cluster = new Cluster(await places['in memory']!(), options)
    await cluster.startAll()
    const stopped = new Promise<unknown>((resolve) => cluster.node('n4').on('stopped', ({ error }) => resolve(error)))
    isBroken = true
    expect(await cluster.node('n1').commands.add({ key: 'a' })).toBe(1)
    expect(await stopped).toMatchObject({ code: 'SIGNING_FAILED' })
    expect(cluster.node('n4').status().state).toBe('failed')
    await cluster.stop('n4')
    expect(await cluster.node('n2').commands.add({ key: 'a' })).toBe(2)
  })

  test('every member tells how far the others are, and what it holds against them, in its metrics too', async () => {
    const cluster = await started()
    await cluster.agree()
    const leader = cluster.node('n1').status().leader!
    await cluster.stop(leader)
    const [first, ...others] = cluster.all
    await first!.commands.add({ key: 'a' })
    const { peers } = first!.status()
    expect(peers.map(({ id }) => id)).toEqual(ids.filter((id) => id !== first!.id))
    expect(Math.max(...peers.map(({ match }) => match))).toBeGreaterThan(1)
    expect(peers.every(({ conduct }) => conduct?.convicted === false)).toBe(true)
    // Whose timer ran out, and who joined them, is chance.
    const texts = [first!, ...others].map((node) => node.prometheus())
    expect(texts.join('')).toMatch(new RegExp(`raft_peer_oddities_total{[^}]*peer="${leader}",kind="delay"} \\d`))
    for (const text of texts) {
      expect(text).toMatch(new RegExp(`raft_peer_convicted{[^}]*peer="${leader}"} 0\n`))
      expect(text).toMatch(/raft_forked\{[^}]*\} 0\n/)
      expect(text).toMatch(/raft_peer_match_index\{[^}]*peer="n\d"\} \d+\n/)
    }
  })

  test('reads by lease and hand-overs are refused in words', async () => {
    const cluster = await started()
    await expect(cluster.node('n1').transferLeadership('n2')).rejects.toMatchObject({ code: 'REFUSED' })
    expect(await cluster.node('n1').queries.get('x', { consistency: 'stale' })).toBe(0)
    await expect(cluster.node('n1').queries.get('x', { consistency: 'lease' })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    })
  })

  test('a key that is not the listed one, none at all, and signatures for Raft are refused at the start', async () => {
    const where = await places['in memory']!()
    const options = {
      ...{ id: 'n1', cluster: 'counters', machine: counters },
      members: Object.fromEntries(ids.map((id) => [id, where.address(id)])),
    }
    const create = (more: Options) =>
      createNode({ ...options, storage: memoryStorage(), transport: memoryNetwork().transport(), ...more })
    const { protocol, signatures } = protocols['certified Raft']!('n1') as Required<Options>
    await expect(create({ protocol })).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    await expect(create({ signatures })).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    await expect(create({ protocol, signatures: ed25519(generateKey()) })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    })
  })

  test('a disk of another founding is refused: the same ids under other keys are another cluster', async () => {
    const storage = memoryStorage({ durable: true })
    const where = await places['in memory']!()
    const start = (members: typeof voters, key: PrivateKey) =>
      createNode({
        ...{ id: 'n1', cluster: 'counters', machine: counters, storage, transport: memoryNetwork().transport() },
        members: Object.fromEntries(ids.map((id) => [id, where.address(id)])),
        ...{ protocol: certifiedRaft({ members, digest: sha256 }), signatures: ed25519(key) },
      })
    const node = await start(voters, keys.get('n1')!)
    await node.close()
    const other = generateKey()
    const changed = voters.map((voter) => (voter.id === 'n4' ? { id: 'n4', key: other.public } : voter))
    await expect(start(changed, keys.get('n1')!)).rejects.toMatchObject({ code: 'REFUSED' })
  })
})
