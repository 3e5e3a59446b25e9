import {
  type Approval,
  certifiedRaft,
  configurationStatement,
  encodeConfiguration,
  encodeRequest,
  founding,
  type Members,
  type Operators,
  type Request,
  readEpochs,
  requestCheck,
  type Voter,
  verifyReceipt,
} from '@raftkit/bft'
import type { NodeId, Storage } from '@raftkit/contract'
import { ed25519, generateKey, type PrivateKey, sha256, sign, verifyHere } from '@raftkit/ed25519'
import { memoryStorage } from '@raftkit/storage-memory'
import { memoryNetwork } from '@raftkit/transport-memory'
import { createNode, decodeResult, defineMachine, encodeCommand, type Node, type NodeOptions } from 'raftkit'
import { afterEach, describe, expect, test } from 'vitest'

const counters = defineMachine({
  initial: () => new Map<string, number>(),
  commands: {
    add: (counts, { key, by = 1 }: { key: string; by?: number }) => {
      const sum = (counts.get(key) ?? 0) + by
      counts.set(key, sum)
      return sum
    },
  },
  queries: { get: (counts, key: string) => counts.get(key) ?? 0 },
})

type CounterNode = Node<typeof counters>

const addressOf = (id: NodeId): string => `at-${id}`
const keys = new Map(Array.from({ length: 9 }, (_, at) => [`n${at + 1}`, generateKey()]))
const voter = (id: NodeId, key: PrivateKey = keys.get(id)!): Voter => ({
  id,
  key: key.public,
  address: addressOf(id),
})
const four = ['n1', 'n2', 'n3', 'n4']
const founders = four.map((id) => voter(id))
const operatorKeys = [generateKey(), generateKey(), generateKey()]
const operators: Operators = { keys: operatorKeys.map((key) => key.public), threshold: 2 }
const founded = founding(sha256, { cluster: 'counters', group: 'main', members: founders, operators }).members

/** By anybody who knows the founders, from what any node hands out. */
const epochsBy = (node: CounterNode): readonly Members[] =>
  readEpochs(founded, node.receipt(node.status().configIndex)!, { digest: sha256, verify: verifyHere })

function signed(node: CounterNode, members: readonly Voter[], by: readonly number[] = [0, 2]): Uint8Array {
  const { epoch, domain } = epochsBy(node).at(-1)!
  const configuration = { epoch, members: [...members].sort((a, b) => (a.id < b.id ? -1 : 1)), operators }
  const statement = configurationStatement(sha256, domain, configuration)
  const approve = (operator: number): Approval => ({ operator, signature: sign(operatorKeys[operator]!, statement) })
  return encodeConfiguration(configuration, by.map(approve))
}

const clean: (() => unknown)[] = []
afterEach(async () => {
  for (const end of clean.splice(0).reverse()) await end()
})

class Cluster {
  readonly nodes = new Map<NodeId, CounterNode>()
  readonly #network = memoryNetwork()
  readonly #storages = new Map<NodeId, Storage>()

  constructor() {
    clean.push(() => Promise.all([...this.nodes.values()].map((node) => node.close())))
  }

  async start(id: NodeId, more: Partial<NodeOptions<typeof counters>> = {}): Promise<CounterNode> {
    const storage = this.#storages.get(id) ?? memoryStorage({ durable: true })
    this.#storages.set(id, storage)
    const node = await createNode({
      ...{ id, cluster: 'counters', machine: counters, storage, transport: this.#network.transport() },
      members: Object.fromEntries([...new Set([...four, id])].map((each) => [each, addressOf(each)])),
      ...{ address: addressOf(id), timing: { electionTimeout: 300 }, closeTimeout: 0 },
      protocol: certifiedRaft({ members: founders, operators, digest: sha256, checkpointEntries: 8 }),
      signatures: ed25519(keys.get(id)!),
      ...more,
    })
    this.nodes.set(id, node)
    return node
  }

  async found(): Promise<void> {
    await Promise.all(four.map((id) => this.start(id)))
    await Promise.all([...this.nodes.values()].map((node) => node.ready()))
  }

  async stop(id: NodeId): Promise<void> {
    const node = this.node(id)
    this.nodes.delete(id)
    await node.close()
  }

  lose(id: NodeId): void {
    this.#storages.delete(id)
  }

  node(id: NodeId): CounterNode {
    return this.nodes.get(id)!
  }
}

/** Polled: what a node does about an epoch that it was not there for, it does by itself. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10))
}

const namesOf = (node: CounterNode): NodeId[] => node.status().config.members.map(({ id }) => id)

describe('members that operators change', { timeout: 60_000 }, () => {
  test('four become five, and four again, and one comes back under a new key: the counters stay', async () => {
    const cluster = new Cluster()
    await cluster.found()
    for (let i = 0; i < 20; i++) await cluster.node('n1').commands.add({ key: 'a' })

    const n5 = await cluster.start('n5', { join: true })
    expect(n5.status()).toMatchObject({ removed: false, config: { members: [] } })
    await expect(n5.queries.get('a', { timeout: 500 })).rejects.toMatchObject({ code: 'NOT_A_MEMBER' })
    const n2 = cluster.node('n2')
    const config = await n2.members.change(signed(n2, [...founders, voter('n5')]))
    expect(config.members.map(({ id, address }) => [id, address])).toEqual(
      [...four, 'n5'].map((id) => [id, addressOf(id)]),
    )
    await n5.ready()
    expect(await n5.queries.get('a')).toBe(20)
    expect(await n5.commands.add({ key: 'a' })).toBe(21)

    const n1 = cluster.node('n1')
    const staying = ['n2', 'n3', 'n4', 'n5'].map((id) => voter(id))
    await n1.members.change(signed(n1, staying))
    expect(n1.status().removed).toBe(true)
    await expect(n1.queries.get('a', { timeout: 500 })).rejects.toMatchObject({ code: 'NOT_A_MEMBER' })
    expect(namesOf(n5)).toEqual(['n2', 'n3', 'n4', 'n5'])
    expect(await n5.commands.add({ key: 'a' })).toBe(22)
    await cluster.stop('n1')

    await cluster.stop('n2')
    cluster.lose('n2')
    const key = generateKey()
    const n3 = cluster.node('n3')
    await n3.members.change(signed(n3, [voter('n2', key), ...staying.slice(1)]))
    const fresh = await cluster.start('n2', { join: true, signatures: ed25519(key) })
    await fresh.ready()
    expect(await fresh.queries.get('a')).toBe(22)
    // Its vote counts: with another away, nothing goes without it.
    await cluster.stop('n3')
    expect(await cluster.node('n4').commands.add({ key: 'a' })).toBe(23)
    const back = await cluster.start('n3')
    await back.ready()
    expect(await back.queries.get('a')).toBe(23)
    expect(epochsBy(back).map(({ list }) => list.length)).toEqual([4, 5, 4, 4])
  })

  test('who was away learns how the epochs went: whether it is one of them still or not', async () => {
    const cluster = new Cluster()
    await cluster.found()
    await cluster.node('n4').commands.add({ key: 'a', by: 7 })
    await cluster.start('n5', { join: true })
    await cluster.stop('n1')
    const n2 = cluster.node('n2')
    await n2.members.change(signed(n2, [...founders, voter('n5')]))
    const again = await cluster.start('n1')
    await until(() => namesOf(again).length === 5)
    await again.ready()
    expect(await again.commands.add({ key: 'a' })).toBe(8)
    await cluster.stop('n1')
    await n2.members.change(
      signed(
        n2,
        ['n2', 'n3', 'n4', 'n5'].map((id) => voter(id)),
      ),
    )
    const left = await cluster.start('n1')
    await until(() => left.status().removed)
    expect(await n2.commands.add({ key: 'a' })).toBe(9)
  })

  test('nobody of the founders is left, and one who knows them alone comes all the same', async () => {
    const cluster = new Cluster()
    await cluster.found()
    for (let i = 0; i < 20; i++) await cluster.node('n1').commands.add({ key: 'a' })
    const next = ['n5', 'n6', 'n7', 'n8']
    for (const id of next) await cluster.start(id, { join: true })
    const n1 = cluster.node('n1')
    const all = next.map((id) => voter(id))
    await expect(n1.members.change(signed(n1, all))).rejects.toThrow('at least 2 of the members must stay')
    await n1.members.change(
      signed(
        n1,
        ['n3', 'n4', 'n5', 'n6'].map((id) => voter(id)),
      ),
    )
    const n5 = cluster.node('n5')
    await n5.ready()
    await cluster.node('n6').ready()
    await n5.members.change(signed(n5, all))
    await Promise.all(next.map((id) => cluster.node(id).ready()))
    expect(await cluster.node('n6').commands.add({ key: 'a' })).toBe(21)
    for (const id of four) await cluster.stop(id)

    const members = Object.fromEntries([...next, 'n9'].map((id) => [id, addressOf(id)]))
    const n9 = await cluster.start('n9', { join: true, members })
    const n7 = cluster.node('n7')
    await n7.members.change(
      signed(
        n7,
        [...next, 'n9'].map((id) => voter(id)),
      ),
    )
    await n9.ready()
    expect(await n9.commands.add({ key: 'a' })).toBe(22)
  })

  test('a receipt of a later epoch is believed by whoever knows the founders', async () => {
    const cluster = new Cluster()
    await cluster.found()
    const n2 = cluster.node('n2')
    await cluster.start('n5', { join: true })
    await n2.members.change(
      signed(
        n2,
        ['n2', 'n3', 'n4', 'n5'].map((id) => voter(id)),
      ),
    )
    const client = generateKey()
    const operations = [encodeCommand('add', { key: 'r', by: 3 })]
    const unsigned: Request = { client: client.public, session: 1, seq: 1, operations, signature: new Uint8Array(0) }
    const signature = sign(client, requestCheck(sha256, founded.genesis.hash, unsigned).bytes)
    const { index, results } = await n2.submit(encodeRequest({ ...unsigned, signature }))
    expect(results.map(decodeResult)).toEqual([3])
    const epochs = epochsBy(n2)
    const proven = verifyReceipt(n2.receipt(index)!, { digest: sha256, epochs }, verifyHere)
    expect(proven).toMatchObject({ epoch: 1, position: index })
    expect(() => verifyReceipt(n2.receipt(index)!, { digest: sha256, epochs: [founded] }, verifyHere)).toThrow(
      'epoch 1',
    )
  })

  test('what too few operators signed, others, for another epoch, or without addresses is refused in words', async () => {
    const cluster = new Cluster()
    await cluster.found()
    const node = cluster.node('n3')
    const five = [...founders, voter('n5')]
    const refused = (bytes: unknown) => expect(node.members.change(bytes)).rejects
    await refused(signed(node, five, [1])).toMatchObject({ code: 'REFUSED', outcome: 'refused' })
    await refused(signed(node, five, [1])).toThrow('1 operators approve where 2 are due')
    const forged = signed(node, five)
    forged[forged.length - 1]! ^= 1
    await refused(forged).toThrow('operator 2 did not sign')
    await refused({ type: 'remove', id: 'n1' }).toThrow('encodeConfiguration')
    await refused(
      signed(
        node,
        five.map(({ id, key }) => ({ id, key })),
      ),
    ).toThrow('no address')
    const once = signed(node, founders)
    await node.members.change(once)
    await refused(once).toThrow('it ends epoch 0, not 1')
    expect(await node.commands.add({ key: 'a' })).toBe(1)
  })

  test('without operators the founders stay, and a stranger is refused at the start', async () => {
    const cluster = new Cluster()
    const fixed = { protocol: certifiedRaft({ members: founders, digest: sha256 }) }
    await Promise.all(four.map((id) => cluster.start(id, fixed)))
    const node = cluster.node('n1')
    await node.ready()
    await expect(node.members.change(new Uint8Array(3))).rejects.toMatchObject({
      code: 'MEMBERSHIP_FIXED',
      outcome: 'refused',
    })
    await expect(cluster.start('n5', { ...fixed, join: true })).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    await expect(cluster.start('n5')).rejects.toMatchObject({ code: 'INVALID_OPTION' })
  })
})
