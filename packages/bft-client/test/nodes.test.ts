import {
  type Committed,
  certifiedRaft,
  decodeCommitted,
  encodeCommitted,
  founding,
  positionsOf,
  receiptIn,
  type Trust,
} from '@raftkit/bft'
import { ed25519, generateKey, sha256 } from '@raftkit/ed25519'
import { memoryStorage } from '@raftkit/storage-memory'
import { memoryNetwork } from '@raftkit/transport-memory'
import { createNode, decodeResult, defineMachine, encodeCommand, type Node } from 'raftkit'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type AnsweringMember, answering, bftClient, type Report } from '../src/index.ts'

/** Keeps the texts it was given, so that a lost and a doubled one both show. */
const machine = defineMachine({
  initial: () => ({ texts: [] as string[] }),
  commands: {
    add: (state, text: string, { client }) => {
      state.texts.push(text)
      return { place: state.texts.length, by: client }
    },
  },
  queries: { texts: ({ texts }) => texts },
})

const cluster = 'clients'
const ids = ['m0', 'm1', 'm2', 'm3']
const slow = { timeout: 30_000 }

let nodes: Map<string, Node<typeof machine>>
let trust: Trust
let lies: Map<string, (honest: AnsweringMember) => AnsweringMember>
/** What each member was given to keep. */
let archives: Map<string, Uint8Array[]>

beforeEach(async () => {
  const keys = ids.map((id) => ({ id, own: ed25519(generateKey()) }))
  const members = keys.map(({ id, own }) => ({ id, key: own.key }))
  const network = memoryNetwork()
  lies = new Map()
  archives = new Map(ids.map((id) => [id, []]))
  trust = { digest: sha256, epochs: [founding(sha256, { cluster, group: 'main', members }).members] }
  const opened = keys.map(async ({ id, own }) => {
    const node = await createNode({
      ...{ id, cluster, machine, members: Object.fromEntries(ids.map((name) => [name, name])) },
      ...{ storage: memoryStorage(), transport: network.transport(), signatures: own },
      protocol: certifiedRaft({
        ...{ members, digest: sha256, checkpointEntries: 4 },
        archive: (committed: Committed) => void archives.get(id)!.push(encodeCommitted(committed)),
      }),
      timing: { electionTimeout: 300 },
    })
    return [id, node] as const
  })
  nodes = new Map(await Promise.all(opened))
})
afterEach(() => Promise.all([...nodes.values()].map((node) => node.close())))

function clientOf(reports: Report[] = []) {
  return bftClient({
    trust,
    signatures: ed25519(generateKey()),
    patience: 200,
    timeout: 25_000,
    report: (report) => void reports.push(report),
    wire: {
      send: (id, ask, signal) => {
        const node = nodes.get(id)!
        return answering(lies.get(id)?.(node) ?? node)(ask, signal)
      },
    },
  })
}

/** What all of them hold, once they hold the same. */
async function texts(among: readonly string[]): Promise<readonly string[]> {
  for (;;) {
    const held = among.map((id) => nodes.get(id)!.queries.texts(undefined, { consistency: 'stale' }))
    const [first, ...others] = await Promise.all(held)
    if (others.every((other) => other.join() === first!.join())) return first!
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

test('members of certified Raft execute each request once, in one order, and know who signed it', slow, async () => {
  const [alice, bob] = [clientOf(), clientOf()]
  const done = await Promise.all(
    Array.from({ length: 40 }, async (_, at) => {
      const client = at % 2 ? bob : alice
      const { results } = await client.submit(['a', 'b', 'c'].map((part) => encodeCommand('add', `${at}${part}`)))
      const values = results.map((result) => decodeResult(result) as { place: number; by: Uint8Array })
      expect(values.map(({ by }) => by)).toEqual(Array(3).fill(client.key))
      return values.map(({ place }) => place)
    }),
  )
  const held = await texts(ids)
  expect(held).toHaveLength(120)
  // Of one request one behind the other, each where its client was told.
  for (const [at, places] of done.entries())
    expect(places.map((place) => held[place - 1])).toEqual([`${at}a`, `${at}b`, `${at}c`])
})

test('a member that answers wrongly is outvoted, and the leader that is gone is done without', slow, async () => {
  const reports: Report[] = []
  const client = clientOf(reports)
  // At once, before anything can have been executed.
  lies.set('m3', () => ({
    submit: async () => ({ index: 2, results: [new Uint8Array([1])] }),
    receipt: () => new Uint8Array([1, 2, 3]),
    status: () => ({ leader: 'm3', configIndex: 1 }),
  }))
  await client.submit([encodeCommand('add', 'before')])
  await nodes.get('m0')!.close()
  const { position, results } = await client.submit([encodeCommand('add', 'after')])
  expect(decodeResult(results[0]!)).toMatchObject({ place: 2 })
  expect((await client.receipt(position)).proven.position).toBe(position)
  expect(await texts(['m1', 'm2', 'm3'])).toEqual(['before', 'after'])
  expect(new Set(reports.filter(({ type }) => type === 'mismatch').map(({ member }) => member))).toEqual(
    new Set(['m3']),
  )
})

test('what was submitted before is answered as it was then, by every member', slow, async () => {
  const client = clientOf()
  const request = await client.sign([encodeCommand('add', 'once')])
  const first = await client.send(request)
  const again = await clientOf().send(request)
  expect([again.position, again.results]).toEqual([first.position, first.results])
  expect(await texts(ids)).toEqual(['once'])
})

test('every position that a request took has a receipt of its own', slow, async () => {
  const client = clientOf()
  const sent = await Promise.all(
    Array.from({ length: 10 }, (_, at) => client.submit(Array(at + 1).fill(encodeCommand('add', `${at}`)))),
  )
  for (const { position, results } of sent)
    for (const at of results.keys()) {
      const { proven } = await client.receipt(position + at)
      expect(proven.position).toBe(position)
      expect(proven.request.operations).toHaveLength(results.length)
    }
})

test('what members forget behind a checkpoint, their archives prove', slow, async () => {
  const client = clientOf()
  const sent: number[] = []
  for (let at = 0; at < 40; at++) sent.push((await client.submit([encodeCommand('add', `${at}`)])).position)
  await expect.poll(() => nodes.get('m1')!.receipt(sent[0]!)).toBeUndefined()
  const kept = archives.get('m1')!.map(decodeCommitted)
  // Without a gap, each once.
  const positions = kept.map(positionsOf)
  for (const [at, { from }] of positions.entries()) expect(from).toBe((positions[at - 1]?.to ?? 1) + 1)
  lies.set('m1', (node) => ({
    ...node,
    submit: node.submit.bind(node),
    status: () => node.status(),
    receipt: async (position) => kept.flatMap((one) => receiptIn(sha256, one, position) ?? [])[0],
  }))
  for (const id of ['m0', 'm2', 'm3']) await nodes.get(id)!.close()
  for (const position of sent.slice(0, 30)) expect((await client.receipt(position)).proven.position).toBe(position)
})
