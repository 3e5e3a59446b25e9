import { formatLine, type KeyValueOperation, parseHistory } from '@raftkit/linearizability'
import { parseTrace } from '@raftkit/simulator'
import { livedThrough } from './cluster.ts'
import { Disagreement, type Target } from './target.ts'

const operations: readonly KeyValueOperation[] = [
  { client: 1, key: 'x', input: { op: 'put', value: { a: [1, 'ä'] } }, call: 1, return: 5, ok: true, index: 3 },
  { client: 'c2', key: 'x', input: { op: 'get' }, output: null, call: 2, return: 4, ok: true },
  { client: 2, key: 'y', input: { op: 'cas', from: null, to: 1 }, output: false, call: 3, return: 9, ok: true },
  { client: 3, key: 'y', input: { op: 'append', text: 'abc' }, call: 3, ok: 'unknown' },
  { client: 3, key: 'constructor', input: { op: 'delete' }, output: true, call: 4, return: 10, ok: false },
]

const encoder = new TextEncoder()

/** Histories of clients, from whatever program. */
export const history: Target = {
  name: 'history',
  weight: 2,
  parsers: {
    'packages/linearizability/src/ndjson.ts': /^(parse|lines|objectOf|commandOf|decode)/,
  },
  text: true,
  isRefusal: (error) => error instanceof Error && error.name === 'HistoryError',
  seeds: async () => [
    encoder.encode(`${operations.map(formatLine).join('\n')}\n`),
    ...operations.map((one) => encoder.encode(formatLine(one))),
  ],
  open: async () => ({
    async take(input) {
      const found = await read([input.subarray(0, input.length >> 1), input.subarray(input.length >> 1)])
      const text = found.map(formatLine).join('\n')
      const again = await read([encoder.encode(text)]).catch((cause: unknown) => {
        throw new Disagreement('a history that was read and written cannot be read', { cause })
      })
      if (again.map(formatLine).join('\n') !== text)
        throw new Disagreement('a history that was read and written is another')
    },
  }),
}

async function read(chunks: readonly Uint8Array[]): Promise<KeyValueOperation[]> {
  const found: KeyValueOperation[] = []
  for await (const operation of parseHistory(chunks)) found.push(operation)
  return found
}

/** Traces of nodes and of simulations. */
export const trace: Target = {
  name: 'trace',
  weight: 2,
  parsers: {
    'packages/simulator/src/trace/parse.ts': /./,
  },
  text: true,
  seeds: async () => {
    const { trace } = await livedThrough()
    const [header, ...lines] = trace.split('\n') as [string, ...string[]]
    const seen = new Map<string, string>()
    for (const line of lines.slice(0, -1)) {
      const { type, message } = JSON.parse(line) as { type: string; message?: { kind: string } }
      seen.set(`${type} ${message?.kind}`, line)
    }
    const simulated = [
      '{"format":"raftkit-trace","version":1,"source":"simulation","cluster":"sim","seed":"7"}',
      '{"at":12.5,"node":"n1","type":"starting"}',
    ]
    return [[header, ...seen.values()], ...[...seen.values()].map((line) => [header, line]), simulated].map((rows) =>
      encoder.encode(`${rows.join('\n')}\n`),
    )
  },
  open: async () => ({
    take(input) {
      const found = parseTrace(new TextDecoder().decode(input))
      // What holds more levels than the stack cannot be written again.
      if (Buffer.from(input).includes('[[[[[[[[[[')) return
      const text = `${[found.header, ...found.lines].map((line) => JSON.stringify(line)).join('\n')}\n`
      const again = parseTrace(text)
      if (`${[again.header, ...again.lines].map((line) => JSON.stringify(line)).join('\n')}\n` !== text)
        throw new Disagreement('a trace that was read and written is another')
    },
  }),
}
