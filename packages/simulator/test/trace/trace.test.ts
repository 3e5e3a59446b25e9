import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { isRaftkitError, type NodeId } from '@raftkit/contract'
import { jointConsensus } from '@raftkit/membership'
import { memoryStorage } from '@raftkit/storage-memory'
import { memoryNetwork } from '@raftkit/transport-memory'
import { createNode, type Node, type TraceLine, traceWriter } from 'raftkit'
import { describe, expect, test } from 'vitest'
import { RollingHash } from '../../src/trace/hash.ts'
import { parseTrace, Tracer } from '../../src/trace/index.ts'
import { hashLine, writeLine } from '../../src/trace/line.ts'
import { commonFields, type Field, lineTypes, messageKinds } from '../../src/trace/schema.ts'
import { Violation } from '../../src/watcher.ts'
import { cluster, counters } from '../cluster.ts'
import { fill } from './document.ts'

const page = fileURLToPath(new URL('../../../../docs/reference/trace-format.md', import.meta.url))

/** A run with an election, commands, snapshots, a crash, a wipe and a lossy network. */
async function run(seed: number, written?: string[]): Promise<Tracer> {
  const tracer = new Tracer({ write: written && ((line) => written.push(line)) })
  const made = await cluster(seed, {
    watchers: [tracer],
    node: { snapshots: { everyEntries: 4, trailingEntries: 2 } },
    weather: { loss: 0.05, duplicate: 0.05 },
  })
  const { world } = made
  for (let i = 0; i < 5; i++) await made.add(1)
  const asked = { id: 1, client: 'c1', node: 'n1', kind: 'put', input: { key: 'very-private' }, begun: world.now }
  world.watchers.operation(asked)
  world.leader!.kill()
  await made.until(() => world.leader !== undefined)
  await made.add(1)
  world.watchers.operation({ ...asked, ended: world.now, outcome: 'done', output: 'very-private' })
  for (const server of world.servers.values()) if (!server.alive) server.start()
  await world.run({ until: world.now + 5000 })
  expect(world.violation).toBeUndefined()
  tracer.end(world, new Violation('an example', 'nothing is wrong'))
  world.close()
  return tracer
}

describe('a trace of a simulation', () => {
  test('is what the page says, line by line, and tells of everything', async () => {
    const written: string[] = []
    await run(3, written)
    const { header, lines } = parseTrace(written.join(''))
    expect(header).toEqual({ format: 'raftkit-trace', version: 1, source: 'simulation', cluster: 'sim', seed: '3' })
    expect(lines.length).toBe(written.length - 1)
    const seen = new Set(lines.map(({ type }) => type))
    const rare = [
      'ready',
      'stopped',
      'closed',
      'stalled',
      'warning',
      'missed',
      'accused',
      'forked',
      'amnesic',
      'removed',
      'ignored',
      'refused',
      'dropped',
      'truncated',
    ]
    expect(lineTypes.map(({ type }) => type).filter((type) => !seen.has(type) && !rare.includes(type))).toEqual([])
    for (let at = 1; at < lines.length; at++) expect(lines[at]!.at).toBeGreaterThanOrEqual(lines[at - 1]!.at)
  })

  test('holds nothing of what users put in', async () => {
    const written: string[] = []
    await run(3, written)
    expect(written.join('')).not.toContain('very-private')
    expect(written.join('')).not.toContain('visits')
  })

  test('is the same for the same seed, and so is its hash, written or not', async () => {
    const [first, second]: string[][] = [[], []]
    const [one, two, unwritten, other] = [await run(3, first), await run(3, second), await run(3), await run(4)]
    expect(first).toEqual(second)
    expect(two.hash).toBe(one.hash)
    expect(unwritten.hash).toBe(one.hash)
    expect(unwritten.lines).toBe(first!.length - 1)
    expect(one.hash).toMatch(/^[0-9a-f]{16}$/)
    expect(other.hash).not.toBe(one.hash)
  })
})

/** A line of each type, and a message of each kind, with every field. */
const example: Record<Field['kind'], unknown> = {
  integer: 7,
  milliseconds: 1.5,
  boolean: true,
  text: 'text',
  members: [{ id: 'n1', incarnation: '00', role: 'voter' }],
  message: { kind: 'readIndex', id: 1 },
  object: { some: 'detail' },
}
const another: typeof example = {
  integer: 8,
  milliseconds: 1.501,
  boolean: false,
  text: 'texu',
  members: [],
  message: { kind: 'readIndex', id: 2 },
  object: {},
}
const whole = (fields: readonly Field[]): Record<string, unknown> =>
  Object.fromEntries(fields.map(({ name, kind }) => [name, example[kind]]))
const examples: TraceLine[] = [
  ...lineTypes.map(({ type, fields }) => ({ ...whole([...commonFields, ...fields]), type }) as unknown as TraceLine),
  ...messageKinds.map(({ kind, fields }) => ({
    at: 1,
    node: 'n1',
    type: 'sent',
    to: 'n2',
    lane: 'bulk',
    message: { kind, ...whole(fields) },
  })),
]
const hashOf = (line: TraceLine): string => {
  const hash = new RollingHash()
  hashLine(hash, line)
  return hash.toString()
}

describe('the hash', () => {
  test('is another when any field of any line is another, or is missing', () => {
    let changes = 0
    for (const line of examples) {
      const { fields } = lineTypes.find(({ type }) => type === line.type)!
      for (const { name, kind } of [...commonFields, ...fields]) {
        if (name === 'type') continue
        const value = line[name]
        const others =
          value === undefined ? [example[kind]] : name === 'message' ? [another.message] : [another[kind], undefined]
        for (const other of others) {
          expect(hashOf({ ...line, [name]: other } as TraceLine), `${line.type}.${name}`).not.toBe(hashOf(line))
          changes++
        }
      }
      const message = line.message as { readonly kind: string } | undefined
      for (const { name, kind } of messageKinds.find((each) => each.kind === message?.kind)?.fields ?? []) {
        const changed = { ...message, [name]: another[kind] }
        expect(hashOf({ ...line, message: changed }), `${message?.kind}.${name}`).not.toBe(hashOf(line))
        changes++
      }
    }
    expect(changes).toBeGreaterThan(150)
  })

  test('takes in exactly what is written: what the tables do not name is in neither', () => {
    for (const line of examples) {
      const written = writeLine(line)
      expect(JSON.parse(written)).toEqual(JSON.parse(JSON.stringify(line)))
      expect(hashOf(JSON.parse(written) as TraceLine)).toBe(hashOf(line))
      expect(writeLine({ ...line, unknown: 1 })).toBe(written)
      expect(hashOf({ ...line, unknown: 1 })).toBe(hashOf(line))
    }
    expect(() => writeLine({ at: 0, node: '', type: 'nonsense' })).toThrow('nonsense')
    expect(() => hashLine(new RollingHash(), { at: 0, node: '', type: 'nonsense' })).toThrow('nonsense')
  })

  test('is the same on every platform', () => {
    const hash = new RollingHash()
    for (const n of [0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 53 - 1, 0.001, 1234567.891]) hash.number(n)
    for (const text of ['', 'a', 'ä€𝄞']) hash.text(text)
    hash.truth(true)
    hash.absent()
    expect(hash.toString()).toBe('a6aae56a54a6a1a1')
  })
})

describe('a trace of live nodes', () => {
  test('is what the page says, line by line', async () => {
    const ids = ['n1', 'n2', 'n3']
    const network = memoryNetwork()
    const traces = new Map<NodeId, string[]>(ids.map((id) => [id, []]))
    const nodes: Node<typeof counters>[] = await Promise.all(
      ids.map((id) =>
        createNode({
          id,
          cluster: 'traced',
          machine: counters,
          members: Object.fromEntries(ids.map((each) => [each, `at-${each}`])),
          storage: memoryStorage({ durable: true }),
          transport: network.transport(),
          membership: jointConsensus(),
          timing: { electionTimeout: 200, heartbeatInterval: 20 },
          snapshots: { everyEntries: 4 },
          observer: traceWriter((line) => traces.get(id)!.push(line), { cluster: 'traced' }),
        }),
      ),
    )
    await Promise.all(nodes.map((node) => node.ready()))
    for (let i = 0; i < 6; i++) await nodes[i % 3]!.commands.add({ key: 'a', by: 1 })
    await nodes[0]!.queries.get('a')
    await nodes[0]!.snapshot()
    await nodes[1]!.transferLeadership()
    await Promise.all(nodes.map((node) => node.close()))
    const seen = new Set<string>()
    const kinds = new Set<string>()
    for (const [id, written] of traces) {
      const { header, lines } = parseTrace(written.join(''))
      expect(header).toMatchObject({ source: 'node', cluster: 'traced', node: id })
      for (const line of lines) {
        expect(line.node).toBe(id)
        seen.add(line.type)
        if (line.message !== undefined) kinds.add((line.message as { kind: string }).kind)
      }
    }
    for (const type of [
      'started',
      'ready',
      'closed',
      'founded',
      'role',
      'leader',
      'vote',
      'commit',
      'configuration',
      'snapshot',
      'sent',
      'received',
      'link',
      'hello',
      'write',
      'durable',
      'applied',
      'saved',
    ])
      expect(seen, type).toContain(type)
    for (const kind of ['requestVote', 'vote', 'appendEntries', 'appended', 'timeoutNow', 'readIndex', 'found'])
      expect(kinds, kind).toContain(kind)
  })
})

describe('reading a trace', () => {
  const header = '{"format":"raftkit-trace","version":1,"source":"simulation"}\n'
  const commit = '{"at":1,"node":"n1","type":"commit","index":4}\n'

  test('gives back header and lines', () => {
    const { header: read, lines } = parseTrace(header + commit)
    expect(read.source).toBe('simulation')
    expect(lines).toEqual([{ at: 1, node: 'n1', type: 'commit', index: 4 }])
    for (const line of examples) {
      const source = lineTypes.find(({ type }) => type === line.type)!.only ?? 'simulation'
      expect(parseTrace(header.replace('simulation', source) + writeLine(line)).lines).toHaveLength(1)
    }
  })

  const refused = (text: string, code: 'MALFORMED' | 'UNKNOWN_FORMAT', sentence: string): void => {
    let seen: unknown
    try {
      parseTrace(text)
    } catch (error) {
      seen = error
    }
    if (!isRaftkitError(seen, code)) throw seen ?? new Error(`accepted: ${text}`)
    expect(seen.message).toContain(sentence)
  }

  test('refuses a version that it does not know, and says which it reads', () => {
    refused(header.replace('1', '2'), 'UNKNOWN_FORMAT', 'version 2; this reads version 1')
  })

  test.each([
    ['nothing', '', 'line 1'],
    ['no JSON', 'hello\n', 'line 1 of the trace: it is no JSON'],
    ['another format', '{"format":"har"}\n', 'line 1 of the trace: it says format "har"'],
    ['no source', '{"format":"raftkit-trace","version":1}\n', 'its source is undefined'],
    ['an unknown field of the header', header.replace('}', ',"extra":1}'), 'the header has no place for extra'],
    ['a last line that is cut off', header + commit.slice(0, -5), 'line 2 of the trace: the last line has no end'],
    ['an array', `${header}[]\n`, 'line 2 of the trace: it is no JSON object'],
    ['an empty line', `${header}\n${commit}`, 'line 2 of the trace: it is no JSON'],
    [
      'an unknown type',
      header + commit + commit.replace('commit', 'comit'),
      'line 3 of the trace: there are no lines of type "comit"',
    ],
    [
      'a type that only a node writes',
      `${header}{"at":1,"node":"n1","type":"missed","count":4}\n`,
      'only a node writes',
    ],
    ['a missing field', header + commit.replace(',"index":4', ''), 'has no field index'],
    ['a field of another kind', header + commit.replace('4', '"4"'), 'index is no integer: "4"'],
    [
      'what nests deeper than the stack',
      header + commit.replace('4', `${'['.repeat(20_000)}${']'.repeat(20_000)}`),
      'index is no integer: a list',
    ],
    ['a fraction for an integer', header + commit.replace('4', '4.5'), 'index is no integer: 4.5'],
    ['a null', header + commit.replace('4', 'null'), 'index is no integer: null'],
    ['an unknown field', header + commit.replace('4', '4,"more":1'), 'a line of type commit has no place for more'],
    [
      'an unknown message',
      `${header}{"at":1,"node":"n1","type":"sent","to":"n2","lane":"bulk","message":{"kind":"gossip"}}\n`,
      'no messages of kind "gossip"',
    ],
    [
      'a message that lacks something',
      `${header}{"at":1,"node":"n1","type":"sent","to":"n2","lane":"bulk","message":{"kind":"readIndex"}}\n`,
      'a message of kind readIndex has no field id',
    ],
  ])('refuses %s, with the number of the line', (_, text, sentence) => refused(text, 'MALFORMED', sentence))
})

test('the page of the format is made from the tables the reader goes by', () => {
  const text = readFileSync(page, 'utf8')
  if (process.env.RAFTKIT_WRITE_DOCS !== undefined) writeFileSync(page, fill(text))
  else
    expect(text, 'write it anew: RAFTKIT_WRITE_DOCS=1 npx vitest run --project simulator test/trace').toBe(fill(text))
})

test('the example on the page is a trace', () => {
  const [, example] = /```json\n([\s\S]*?)```/.exec(readFileSync(page, 'utf8'))!
  expect(parseTrace(example!).lines).toHaveLength(5)
})
