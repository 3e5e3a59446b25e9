import {
  certifiedRaft,
  configurationStatement,
  encodeConfiguration,
  founding,
  readEpochs,
  type Trust,
  type Voter,
} from '@raftkit/bft'
import { ed25519, generateKey, sha256, sign, verifier, verifyHere } from '@raftkit/ed25519'
import { memoryStorage } from '@raftkit/storage-memory'
import { memoryNetwork } from '@raftkit/transport-memory'
import { createNode, defineMachine, encodeCommand, type Node } from 'raftkit'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Epochs } from '../src/epochs.ts'
import {
  type AnsweringMember,
  answering,
  type BftClient,
  type BftClientOptions,
  bftClient,
  type Report,
  receiptVerifier,
} from '../src/index.ts'

const machine = defineMachine({
  initial: () => ({ texts: [] as string[] }),
  commands: { add: (state, text: string) => state.texts.push(text) },
  queries: { texts: ({ texts }) => texts },
})

const cluster = 'epochs'
const founders = ['m0', 'm1', 'm2', 'm3']
const keys = new Map(Array.from({ length: 8 }, (_, at) => [`m${at}`, generateKey()]))
const addressOf = (id: string): string => `at-${id}`
const voter = (id: string): Voter => ({ id, key: keys.get(id)!.public, address: addressOf(id) })
const operator = generateKey()
const operators = { keys: [operator.public], threshold: 1 }
const { members: founded } = founding(sha256, { cluster, group: 'main', members: founders.map(voter), operators })
const trust: Trust = { digest: sha256, epochs: [founded] }

let network: ReturnType<typeof memoryNetwork>
let nodes: Map<string, Node<typeof machine>>
let lies: Map<string, (honest: AnsweringMember) => Partial<AnsweringMember>>
let reports: Report[]
let dialled: Map<string, string | undefined>

async function start(id: string): Promise<void> {
  const isFounder = founders.includes(id)
  const node = await createNode({
    ...{ id, cluster, machine, storage: memoryStorage(), transport: network.transport(), closeTimeout: 0 },
    members: Object.fromEntries([...new Set([...founders, id])].map((name) => [name, addressOf(name)])),
    ...{ address: addressOf(id), signatures: ed25519(keys.get(id)!), timing: { electionTimeout: 300 } },
    protocol: certifiedRaft({ members: founders.map(voter), operators, digest: sha256 }),
    ...(!isFounder && { join: true as const }),
  })
  nodes.set(id, node)
}

async function stop(id: string): Promise<void> {
  const node = nodes.get(id)
  nodes.delete(id)
  await node?.close()
}

/** Ends the epoch: from now on these are the members. */
async function become(...ids: string[]): Promise<void> {
  for (const id of ids) if (!nodes.has(id)) await start(id)
  const isMember = (node: Node<typeof machine>): boolean =>
    node.status().config.members.some(({ id }) => id === node.id)
  const staying = [...nodes.values()].find((node) => ids.includes(node.id) && isMember(node))!
  const epochs = readEpochs(founded, proofOf(staying), { digest: sha256, verify: verifyHere })
  const { epoch, domain } = epochs.at(-1)!
  const configuration = { epoch, members: ids.map(voter), operators }
  const signature = sign(operator, configurationStatement(sha256, domain, configuration))
  await staying.members.change(encodeConfiguration(configuration, [{ operator: 0, signature }]))
  for (const id of ids) await nodes.get(id)!.ready()
}

const proofOf = (node: Node<typeof machine>): Uint8Array => node.receipt(node.status().configIndex)!

function clientOf(more: Partial<BftClientOptions> = {}): BftClient {
  return bftClient({
    ...{ trust, signatures: ed25519(generateKey()), patience: 200, timeout: 25_000 },
    report: (report) => void reports.push(report),
    wire: {
      send: async (id, ask, signal, address) => {
        dialled.set(id, address)
        const node = nodes.get(id)
        if (node === undefined) throw new Error('nobody is there')
        return answering({ ...honest(node), ...lies.get(id)?.(honest(node)) })(ask, signal)
      },
    },
    ...more,
  })
}

const honest = (node: Node<typeof machine>): AnsweringMember => ({
  submit: node.submit.bind(node),
  receipt: (index) => node.receipt(index),
  status: () => node.status(),
  read: async () =>
    new TextEncoder().encode(String((await node.queries.texts(undefined, { consistency: 'stale' })).length)),
})

const idsOf = (client: BftClient): string[] => client.epochs.at(-1)!.list.map(({ id }) => id)
const add = (text: string): Uint8Array[] => [encodeCommand('add', text)]

beforeEach(async () => {
  network = memoryNetwork()
  nodes = new Map()
  lies = new Map()
  reports = []
  dialled = new Map()
  await Promise.all(founders.map(start))
})
afterEach(() => Promise.all([...nodes.values()].map((node) => node.close())))

describe('a client that knows the founders', { timeout: 60_000 }, () => {
  test('goes on while one after the other is exchanged, and everything it wrote is there once', async () => {
    const proofs: Uint8Array[] = []
    const client = clientOf({ learned: (proof) => void proofs.push(proof) })
    const written: string[] = []
    const places: number[] = []
    let writing = true
    const writer = async (lane: number): Promise<void> => {
      for (let at = 0; writing; at++) {
        const text = `${lane}.${at}`
        places.push((await client.submit(add(text))).position)
        written.push(text)
      }
    }
    const writers = [writer(0), writer(1), writer(2)]
    const wait = async (count: number): Promise<void> => {
      const enough = written.length + count
      while (written.length < enough) await new Promise((resolve) => setTimeout(resolve, 10))
    }
    await wait(10)
    await become('m1', 'm2', 'm3', 'm4')
    await stop('m0')
    await wait(10)
    await become('m2', 'm3', 'm4', 'm5')
    await stop('m1')
    await become('m4', 'm5', 'm6', 'm7')
    await stop('m2')
    await stop('m3')
    await wait(10)
    writing = false
    await Promise.all(writers)

    expect(idsOf(client)).toEqual(['m4', 'm5', 'm6', 'm7'])
    expect(client.epochs.map(({ epoch }) => epoch)).toEqual([0, 1, 2, 3])
    // Not all of them need be asked.
    const newcomers = [...dialled].filter(([id]) => !founders.includes(id))
    expect(newcomers.length).toBeGreaterThan(0)
    expect(newcomers).toEqual(newcomers.map(([id]) => [id, addressOf(id)]))
    const held = await nodes.get('m7')!.queries.texts(undefined, { consistency: 'linearizable' })
    expect([...held].sort()).toEqual([...new Set(written)].sort())
    expect(reports.filter(({ type }) => type !== 'unreachable')).toEqual([])

    const verify = receiptVerifier({ digest: sha256, epochs: client.epochs, signatures: verifier() })
    for (const position of [places[0]!, places.at(-1)!]) {
      const { bytes, proven } = await client.receipt(position)
      expect(await verify(bytes)).toEqual(proven)
    }
    // Nobody of those whom it was founded with is left: what was kept leads on.
    const epochs = readEpochs(founded, proofs.at(-1)!, { digest: sha256, verify: verifyHere })
    const next = clientOf({ trust: { digest: sha256, epochs } })
    await next.submit(add('by another'))
    const strangers = clientOf({ timeout: 500 })
    await expect(strangers.submit(add('nobody knows'))).rejects.toMatchObject({ code: 'TIMEOUT', outcome: 'unknown' })
  })

  test('learns of all epochs from the one founder that is left', async () => {
    await become('m1', 'm2', 'm3', 'm4')
    await become('m3', 'm4', 'm5', 'm6')
    for (const id of ['m0', 'm1', 'm2']) await stop(id)
    const client = clientOf()
    await client.submit(add('here'))
    expect(idsOf(client)).toEqual(['m3', 'm4', 'm5', 'm6'])
  })

  test('knows who is a member now when it asked, and proves it to others', async () => {
    const client = clientOf()
    const first = await client.follow()
    expect(readEpochs(founded, first, { digest: sha256, verify: verifyHere })).toHaveLength(1)
    await become('m1', 'm2', 'm3', 'm4')
    const proof = await client.follow()
    expect(idsOf(client)).toEqual(['m1', 'm2', 'm3', 'm4'])
    const epochs = readEpochs(founded, proof, { digest: sha256, verify: verifyHere })
    expect(epochs.at(-1)!.domain).toBe(client.epochs.at(-1)!.domain)
  })

  test('asks f + 1 of the members of now, when they are more', async () => {
    const client = clientOf()
    expect((await client.submit(add('of four'))).by).toHaveLength(2)
    await become('m0', 'm1', 'm2', 'm3', 'm4', 'm5', 'm6')
    await client.follow()
    const { by } = await client.submit(add('of seven'))
    expect(by).toHaveLength(3)
  })

  test('that gives up while the members change is told that it may have happened', async () => {
    const client = clientOf()
    await client.submit(add('first'))
    await become('m1', 'm2', 'm3', 'm4')
    const end = new AbortController()
    // In the turn in which it learns of the others, it has asked those before.
    const leaving = clientOf({ learned: () => end.abort() })
    await expect(leaving.submit(add('second'), { signal: end.signal })).rejects.toMatchObject({
      code: 'ABORTED',
      outcome: 'unknown',
    })
    expect(leaving.epochs).toHaveLength(2)
  })

  test('gets receipts of requests from before the exchange, and those from then stay good', async () => {
    const client = clientOf()
    const { position } = await client.submit(add('before'))
    const before = await client.receipt(position)
    await become('m1', 'm2', 'm3', 'm4')
    const later = await client.submit(add('after'))
    const after = await client.receipt(position)
    expect([before.proven.epoch, after.proven.epoch]).toEqual([0, 0])
    expect((await client.receipt(later.position)).proven.epoch).toBe(1)
    const verify = receiptVerifier({ digest: sha256, epochs: client.epochs, signatures: verifier() })
    expect((await verify(before.bytes)).position).toBe(position)
    expect(reports).toEqual([])
  })
})

describe('a member that lies about who the members are', { timeout: 60_000 }, () => {
  test('by telling of an epoch that is over, or of none, keeps nobody there', async () => {
    const client = clientOf()
    await client.submit(add('one'))
    const old = proofOf(nodes.get('m1')!)
    // The leader of the term, who is asked first.
    lies.set('m1', ({ receipt }) => ({
      receipt: (index) => (index === 1 ? old : receipt(index)),
      status: () => ({ leader: 'm1', configIndex: 1 }),
    }))
    await become('m1', 'm2', 'm3', 'm4')
    await client.submit(add('two'))
    await client.follow()
    expect(idsOf(client)).toEqual(['m1', 'm2', 'm3', 'm4'])
    // Nor back.
    lies.set('m1', () => ({ receipt: () => old, status: () => ({ leader: 'm1', configIndex: 1_000 }) }))
    await client.submit(add('three'))
    await client.follow()
    expect(idsOf(client)).toEqual(['m1', 'm2', 'm3', 'm4'])
    expect(reports).toEqual([])
  })

  test('with proof that is none is reported, and not believed', async () => {
    const client = clientOf()
    const garbage = new Uint8Array([1, 0, 0, 0, 9])
    lies.set('m0', () => ({ receipt: () => garbage, status: () => ({ leader: 'm0', configIndex: 77 }) }))
    await client.submit(add('one'))
    expect(client.epochs).toHaveLength(1)
    expect(reports).toContainEqual(expect.objectContaining({ type: 'invalidReceipt', member: 'm0' }))
  })

  test('with a configuration that nobody committed is reported, and not believed', async () => {
    await become('m1', 'm2', 'm3', 'm4')
    const forged = proofOf(nodes.get('m2')!).slice()
    // The last bytes are those of a member's signature.
    forged[forged.length - 1]! ^= 1
    const client = clientOf()
    lies.set('m0', ({ receipt, status }) => ({
      receipt: (index) => (index === status().configIndex ? forged : receipt(index)),
    }))
    await client.follow()
    expect(idsOf(client)).toEqual(['m1', 'm2', 'm3', 'm4'])
    expect(reports).toContainEqual(
      expect.objectContaining({ type: 'invalidReceipt', member: 'm0', reason: expect.stringContaining('prove') }),
    )
  })

  test('with any byte of the proof altered, or cut, is not believed', async () => {
    await become('m1', 'm2', 'm3', 'm4')
    const proof = proofOf(nodes.get('m2')!)
    const altered = [...proof.keys()].flatMap((at) =>
      [0x01, 0x80].map((flip) => proof.map((byte, place) => (place === at ? byte ^ flip : byte))),
    )
    for (const forged of [...altered, ...[...proof.keys()].map((cut) => proof.subarray(0, cut))]) {
      const epochs = new Epochs(trust, { verify: verifyHere })
      await expect(epochs.learn(forged)).rejects.toThrow(/REFUSED|MALFORMED|UNKNOWN_FORMAT/)
      expect(epochs.newest).toBe(founded)
    }
    const epochs = new Epochs(trust, { verify: verifyHere })
    expect(await epochs.learn(proof)).toBe(2)
    expect(epochs.isNews(nodes.get('m2')!.status().configIndex)).toBe(false)
  })
})
