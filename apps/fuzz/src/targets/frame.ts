import { crc32, toHex } from '@raftkit/bytes'
import { isRaftkitError } from '@raftkit/contract'
import { type Cluster, founded, founders, livedThrough } from './cluster.ts'
import { Disagreement, type Subject, setU32, type Target, u32At } from './target.ts'

/** Of the founders, as they come out each time: frames that name others go no further than the host. */
const known = { genesis: new Uint8Array(16), incarnations: founders.map(() => new Uint8Array(16)) }

async function open(): Promise<{ cluster: Cluster }> {
  const cluster = await founded()
  const { genesis } = cluster.nodes.get('n1')!.status()
  known.genesis = Buffer.from(genesis, 'hex')
  known.incarnations = founders.map((id) => Buffer.from(cluster.nodes.get(id)!.status().incarnation, 'hex'))
  cluster.deaf = true
  return { cluster }
}

/** What may end a replica: an authenticated peer can contradict what is committed, and Raft defends against crashes alone. */
const endings = ['DIVERGED', 'INVARIANT', 'DAMAGED', 'MALFORMED', 'UNKNOWN_FORMAT', 'MACHINE_MISMATCH']

function watch(cluster: Cluster): void {
  for (const event of cluster.events) {
    // The host and the replica turn whatever is thrown into a refusal: here it must have been Raftkit's own.
    if ((event.type === 'refused' || event.type === 'dropped') && /could not be read/.test(event.reason))
      throw new Disagreement(`an error of no kind was told as: ${event.reason}`)
    if (event.type !== 'stopped') continue
    const { error } = event
    for (let cause: unknown = error; cause !== undefined; cause = (cause as Error).cause)
      if (!isRaftkitError(cause)) throw new Disagreement('a peer ended a replica by an error of no kind', { cause })
    if (!endings.includes(error.code))
      throw new Disagreement(`a peer ended a replica by ${error.code}`, { cause: error })
  }
  cluster.events.length = 0
}

/** Frames of an admitted peer, on a running node: the frame, its messages, the protocol and the replica behind it. */
export const frame: Target = {
  name: 'frame',
  weight: 10,
  parsers: {
    'packages/raftkit/src/frame.ts': /^(decodeFrame|checksumOf)$/,
    'packages/core/src/encoding.ts': /^(decode|read)/,
  },
  lasts: 300,
  allowance: 1 << 20,
  seeds: async () => {
    const { sent } = await livedThrough()
    const seen = new Map<string, Uint8Array>()
    // One of each length and kind of message: heartbeats are many.
    for (const { bytes } of sent) {
      const groupBytes = u32At(bytes, 26)
      const messageAt = 30 + groupBytes + 40
      const key = `${u32At(bytes, 22)} ${bytes[messageAt + 1]}`
      if (bytes.length < 4096 && [...seen.keys()].filter((other) => other.startsWith(key)).length < 4)
        seen.set(`${key} ${bytes.length}`, bytes)
    }
    return [...seen.values()]
  },
  seal(bytes, random) {
    if (bytes.length < 26) return bytes
    bytes[0] = 1
    bytes[1]! &= 1
    bytes.set(random.chance(0.9) ? known.genesis : new Uint8Array(16), 2)
    const count = Math.min(u32At(bytes, 22), 1000)
    let at = 26
    const heads: [number, number][] = []
    for (let i = 0; i < count; i++) {
      const group = u32At(bytes, at)
      if (at + 4 + group + 40 > bytes.length) return bytes
      bytes.set(random.pick(known.incarnations.slice(1)), at + 4 + group)
      bytes.set(random.chance(0.1) ? new Uint8Array(16) : known.incarnations[0]!, at + 20 + group)
      heads.push([u32At(bytes, at + 36 + group), u32At(bytes, at + 40 + group)])
      at += 44 + group
    }
    // Often enough a length is wrong: then the last message takes what there is.
    const last = heads.at(-1)
    const told = heads.reduce((sum, [head, tail]) => sum + head + tail, at)
    if (last && told !== bytes.length && random.chance(0.9)) {
      const room = bytes.length - (told - last[0] - last[1])
      if (room >= 0) {
        last[0] = Math.min(last[0], room)
        last[1] = room - last[0]
        setU32(bytes, at - 8, last[0])
        setU32(bytes, at - 4, last[1])
      }
    }
    let sum = crc32(bytes, crc32(bytes, 0, 0, 18), 22, at)
    for (const [head, tail] of heads) {
      if (at + head + tail > bytes.length) break
      sum = crc32(bytes, sum, at, at + head)
      at += head + tail
    }
    setU32(bytes, 18, sum)
    return bytes
  },
  async open(): Promise<Subject> {
    const { cluster } = await open()
    const node = cluster.nodes.get('n1')!
    const subject = {
      spent: false,
      async take(input: Uint8Array) {
        const sender = input.length > 46 ? toHex(input.subarray(34, 50)) : ''
        const from = known.incarnations.findIndex((bytes) => toHex(bytes) === sender)
        const before = node.status().state
        cluster.receivers.get('n1')?.frame(founders[Math.max(1, from)]!, input)
        await cluster.turn()
        if (before !== 'running' || !cluster.receivers.has('n1')) subject.spent = true
        watch(cluster)
      },
      close: () => cluster.close(),
    }
    return subject
  },
}

/** What a certificate proves beside what is said. */
const certificates: readonly (readonly string[] | undefined)[] = [
  undefined,
  undefined,
  undefined,
  ['raft://fuzz/n2', 'urn:raftkit:role:peer'],
  ['raft://fuzz/n2', 'urn:raftkit:role:client'],
  ['raft://fuzz/n3', 'urn:raftkit:role:peer'],
  [],
]

/** The first thing that any stranger says: judged before anything else is read of it. */
export const hello: Target = {
  name: 'hello',
  weight: 8,
  parsers: {
    'packages/raftkit/src/hello.ts': /^(decodeHello|admit|name|identityText|isEqual)$/,
  },
  refusals: ['REFUSED'],
  lasts: 20_000,
  seeds: async () => {
    const { hellos } = await livedThrough()
    const [, of2] = hellos as readonly [Uint8Array, Uint8Array]
    // u8 format · text cluster (4) · text node (2) · incarnation · genesis · text protocol · u32
    const altered = (at: number, ...by: readonly number[]): Uint8Array => {
      const bytes = of2.slice()
      bytes.set(by, at)
      return bytes
    }
    const zeros = new Array<number>(16).fill(0)
    return [
      ...hellos,
      altered(0, 2),
      altered(5, 0x67),
      altered(14, 0x31),
      altered(14, 0x39),
      altered(15, ...zeros),
      altered(31, 1, 2, 3),
      altered(31, ...zeros),
      altered(51, 0x78),
    ]
  },
  open: async () => {
    const { cluster } = await open()
    const receiver = cluster.receivers.get('n1')!
    return {
      take(input) {
        const proven = certificates[crc32(input) % certificates.length]
        const id = receiver.admit(input, proven)
        receiver.link(id, 'down')
        cluster.events.length = 0
      },
      close: () => cluster.close(),
    }
  },
}
