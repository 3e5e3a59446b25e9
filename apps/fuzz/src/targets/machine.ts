import { kv } from '@raftkit/app-kv'
import { crc32, encodeValue } from '@raftkit/bytes'
import { isRaftkitError, type SnapshotStore } from '@raftkit/contract'
import { memoryStorage } from '@raftkit/storage-memory'
import { clientSession, isRefusal, Refusal, type ReplicatedMachine, replicate } from 'raftkit'
import { Cluster } from './cluster.ts'
import { Disagreement, isEqual, type Subject, setU32, type Target } from './target.ts'

const inputs: readonly [string, unknown][] = [
  ['put', { key: 'k', value: 'v' }],
  ['append', { key: 'k', value: 'ä' }],
  ['del', { key: 'k' }],
  ['cas', { key: 'k', expect: { absent: true }, value: 'v' }],
  ['cas', { key: '__proto__', expect: { value: 'v' }, value: 'w' }],
  ['cas', { key: 'constructor', expect: { revision: 3 }, value: 'w' }],
]

/** The entries that a session of kv makes, in order: its opening first, its end last. */
async function entries(): Promise<Uint8Array[]> {
  const machine = replicate(kv)
  const made: Uint8Array[] = []
  const session = clientSession({
    environment: new Cluster(),
    propose: async (data) => {
      made.push(new Uint8Array(data))
      return machine.apply([{ index: made.length, time: 1_760_000_000_000, seed: made.length, data }])[0]!
    },
  })
  for (const [name, input] of inputs) await session.call(name, input)
  await session.close()
  const text = (text: string): Uint8Array => Buffer.concat([Uint8Array.of(text.length, 0, 0, 0), Buffer.from(text)])
  for (const [name, input] of inputs) made.push(Buffer.concat([Uint8Array.of(1, 1), text(name), encodeValue(input)]))
  made.push(Uint8Array.of(1, 5, 1), Uint8Array.of(1, 5, 2), Uint8Array.of(1, 4, 1))
  return made.map((bytes) => new Uint8Array(bytes))
}

/** A machine with a session, some keys, and answers that it remembers. */
async function used(): Promise<ReplicatedMachine> {
  const machine = replicate(kv)
  for (const [at, data] of (await entries()).slice(0, 5).entries())
    machine.apply([{ index: at + 1, time: 1_760_000_000_000, seed: at, data }])
  return machine
}

async function imageOf(machine: ReplicatedMachine): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const part of machine.snapshot()) parts.push(part)
  return new Uint8Array(Buffer.concat(parts))
}

async function* inParts(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** Committed entries, applied to the machine of kv: its commands, sessions and versions. */
export const entry: Target = {
  name: 'entry',
  weight: 8,
  parsers: {
    'packages/raftkit/src/entry.ts': /^(readEntry|readVarint|ended|unknown)$/,
    'packages/raftkit/src/sessions.ts': /^(read|admit)$/,
  },
  // A command whose input is of another shape stops the replica: only its own program can have placed it.
  refusals: ['MACHINE_MISMATCH'],
  lasts: 20_000,
  tokens: ['put', 'append', 'del', 'cas', 'key', 'value', 'expect'].map((text) => Buffer.from(text)),
  seeds: entries,
  open: async () => {
    const image = await imageOf(await used())
    let machine = await used()
    let index = 100
    return {
      async take(input) {
        try {
          machine.apply([{ index: ++index, time: index, seed: index, data: input }])
        } catch (error) {
          await machine.restore(inParts(image))
          throw error
        }
        if (index % 256 !== 0) return
        const other = replicate(kv)
        await other.restore(inParts(await imageOf(machine)))
        if (!isEqual(other.encode(), machine.encode())) throw new Disagreement('a machine and its snapshot differ')
        machine = await used()
      },
    }
  },
}

/** What a snapshot holds of a machine: its state, sessions and the answers they remember. */
export const snapshot: Target = {
  name: 'snapshot',
  weight: 5,
  parsers: {
    'packages/raftkit/src/replicate.ts': /^(restore|gather|#?applyOne|#?command)$/,
    'packages/raftkit/src/sessions.ts': /^(read|admit)$/,
  },
  refusals: ['DAMAGED', 'MACHINE_MISMATCH'],
  seeds: async () => [await imageOf(replicate(kv)), await imageOf(await used())],
  seal(bytes) {
    setU32(bytes, bytes.length - 4, crc32(bytes, 0, 0, Math.max(0, bytes.length - 4)))
    return bytes
  },
  open: async () => {
    const machine = replicate(kv)
    return {
      async take(input) {
        await machine.restore(inParts(input))
        const image = await imageOf(machine)
        await machine.restore(inParts(image))
        if (!isEqual(await imageOf(machine), image))
          throw new Disagreement('a snapshot of a restored machine is another')
      },
    }
  },
}

/** What applying a command answered, as its caller reads it: also from a session in somebody else's snapshot. */
export const result: Target = {
  name: 'result',
  weight: 3,
  parsers: {
    'packages/raftkit/src/result.ts': /^(read|readResult|outcomeOf)$/,
  },
  // All that a caller may be told, and the documented end of a session.
  refusals: ['INVALID_VALUE', 'SESSION_EXPIRED', 'TIMEOUT', 'INVARIANT'],
  seeds: async () => {
    const machine = replicate({
      ...kv,
      commands: {
        refuse: () => {
          throw new Refusal('no', { code: 'NO', details: { because: [1, 2] } })
        },
        odd: () => Symbol('no value'),
        put: () => ({ done: true, revision: 7 }),
        nothing: () => undefined,
      },
    })
    const text = (text: string): Uint8Array => Buffer.concat([Uint8Array.of(text.length, 0, 0, 0), Buffer.from(text)])
    const command = (name: string): Uint8Array => Buffer.concat([Uint8Array.of(1, 1), text(name), encodeValue(null)])
    const expired = Buffer.concat([Uint8Array.of(1, 2, 99, 1, 0), text('put'), encodeValue(null)])
    const opening = Buffer.concat([Uint8Array.of(1, 3), new Uint8Array(16), Uint8Array.of(10)])
    return [...['refuse', 'odd', 'put', 'nothing'].map(command), expired, opening, Uint8Array.of(1, 4, 1)].map(
      (data, at) =>
        new Uint8Array(machine.apply([{ index: at + 1, time: 1, seed: 1, data: new Uint8Array(data) }])[0]!),
    )
  },
  isRefusal: (error) =>
    isRefusal(error) ||
    (isRaftkitError(error) &&
      [
        'MALFORMED',
        'UNKNOWN_FORMAT',
        'INVALID_VALUE',
        'SESSION_EXPIRED',
        'TIMEOUT',
        'INVARIANT',
        'UNKNOWN_OUTCOME',
      ].includes(error.code)),
  async open(): Promise<Subject> {
    const world = new Cluster()
    const opened = Uint8Array.of(3, 1, 0, 0, 0, 0, 0, 0, 0)
    let answer: Uint8Array = opened
    const session = clientSession({
      environment: world,
      timeout: 20,
      propose: async (data) => (data[1] === 3 ? opened : answer),
    })
    return {
      take: (input) => {
        answer = input
        return world.until(session.call('put', null))
      },
    }
  },
}

interface Stored {
  readonly state: Uint8Array
  readonly name: string
  readonly blob: Uint8Array
  readonly first: number
}

let stored: Promise<Stored> | undefined

const storedOnce = (): Promise<Stored> => {
  stored ??= storedNode()
  return stored
}

/** What the disk of a node holds after a snapshot that left nothing of the log. */
async function storedNode(): Promise<Stored> {
  const cluster = new Cluster()
  const storage = memoryStorage({ durable: true })
  const node = await cluster.add('n1', ['n1'], storage)
  await cluster.until(node.ready())
  for (const [, input] of inputs.slice(0, 1))
    await cluster.until(node.commands.put(input as { key: string; value: string }))
  await cluster.until(node.snapshot())
  const { name, bytes } = node.status().snapshot!
  await cluster.close()
  const log = await storage.log('main')
  const { state, first } = log.found
  await log.close()
  const reader = await (await storage.snapshots('main')).open(name)
  const blob = await reader.read(0, bytes + 1)
  return { state: state!, name, blob: new Uint8Array(blob), first }
}

/** The file of a snapshot, as a node finds it on its disk when it starts. */
export const snapshotFile: Target = {
  name: 'snapshot-file',
  weight: 2,
  parsers: {
    'packages/raftkit/src/snapshot-file.ts': /^(unsealed|number)$/,
  },
  refusals: ['DAMAGED', 'MACHINE_MISMATCH'],
  allowance: 1 << 20,
  seeds: async () => [(await storedOnce()).blob],
  seal(bytes, random) {
    if (bytes.length < 30) return bytes
    // The machine's own checksum stands before that of the blob.
    if (random.chance(0.7)) setU32(bytes, bytes.length - 8, crc32(bytes, 0, 17, bytes.length - 8))
    setU32(bytes, bytes.length - 4, crc32(bytes, 0, 0, bytes.length - 4))
    return bytes
  },
  open: async () => {
    const { state, name, first } = await storedOnce()
    return {
      async take(input) {
        const storage = memoryStorage({ durable: true })
        const log = await storage.log('main')
        await log.write({ tail: { at: first, run: { count: 0, bytes: new Uint8Array(0) }, reset: true }, state })
        await log.close()
        const snapshots: SnapshotStore = await storage.snapshots('main')
        const writer = await snapshots.create(name)
        await writer.write(input)
        await writer.commit()
        const cluster = new Cluster()
        try {
          const node = await cluster.add('n1', ['n1'], storage)
          if (node.status().state === 'failed') throw node.status().error
        } finally {
          await cluster.close()
        }
      },
    }
  },
}
