import { Reader } from '@raftkit/bytes'
import { RaftkitError } from '@raftkit/contract'
import { roundTrip, type Subject, type Target } from '../src/targets/target.ts'

/** A parser with one mistake each, for the oracle that must find it. All begin with a tag, so that most inputs are refused. */
function planted(name: string, mistake: (reader: Reader, bytes: Uint8Array) => unknown): () => Promise<Target> {
  return async () => ({
    name,
    weight: 1,
    parsers: {},
    tokens: [Buffer.from('__proto__')],
    seeds: async () => [Uint8Array.of(7, 3, 0, 0, 0, 1, 2, 3), Uint8Array.of(7, 1, 0, 0, 0, 0x61)],
    open: async () => ({
      take(bytes) {
        const reader = new Reader(bytes)
        if (reader.u8() !== 7) throw new RaftkitError('MALFORMED', 'no tag')
        return mistake(reader, bytes)
      },
    }),
  })
}

/** What is wrong around the parser is no input's doing, and is seen as well. */
function around(name: string, open: () => Promise<Subject>): () => Promise<Target> {
  return async () => ({ name, weight: 1, parsers: {}, fields: () => [], seeds: async () => [Uint8Array.of(1)], open })
}

const kept: unknown[] = []

export const targets: Readonly<Record<string, () => Promise<Target>>> = {
  sound: planted('sound', (reader) => reader.bytes()),
  crash: planted('crash', (reader) => {
    const text = reader.bytes()
    return text.length > 3 ? (undefined as unknown as string[])[0]!.length : text
  }),
  foreignCode: planted('foreignCode', (reader) => {
    if (reader.bytes().length > 3) throw new RaftkitError('TIMEOUT', 'no answer to bytes')
  }),
  hang: planted('hang', (reader) => {
    for (let left = reader.u32(); left !== 0; left = left > 3 ? left : left - 1);
  }),
  neverSettles: planted('neverSettles', (reader) => (reader.bytes().length > 3 ? new Promise(() => {}) : undefined)),
  late: planted('late', (reader) => {
    if (reader.bytes().length > 3) setImmediate(() => (undefined as unknown as () => void)())
  }),
  pollution: planted('pollution', (reader) => {
    const name = reader.text()
    const object: Record<string, Record<string, unknown>> = {}
    if (name in object) object[name]!.polluted = true
  }),
  allocation: planted('allocation', (reader) => new Uint8Array(Math.min(reader.u32(), 0x1000_0000))),
  growth: planted('growth', (reader) => {
    for (let left = Math.min(reader.u32(), 200_000); left > 0; left--) kept.push({ left })
    kept.length = 0
  }),
  disagreement: planted('disagreement', (reader, bytes) => {
    reader.bytes()
    roundTrip(
      bytes,
      (bytes) => bytes.length,
      (length) => new Uint8Array(length + 1),
    )
  }),
  neverOpens: around('neverOpens', () => new Promise(() => {})),
  neverCloses: around('neverCloses', async () => ({ take: () => {}, close: () => new Promise(() => {}) })),
  failsToOpen: around('failsToOpen', async () => {
    throw new Error('no port is left')
  }),
}
