import { tracingChannel } from 'node:diagnostics_channel'
import { memoryStorage } from '@raftkit/storage-memory'
import { memoryNetwork } from '@raftkit/transport-memory'
import { afterEach, describe, expect, test } from 'vitest'
import { createNode, defineMachine, type Logger, type Node, type NodeOptions } from '../src/index.ts'
import { echo } from './echo.ts'

const machine = defineMachine({
  initial: () => ({ n: 0 }),
  commands: { add: (state, by: number) => (state.n += by) },
  queries: { get: (state) => state.n },
})

const open: Node<typeof machine>[] = []
afterEach(async () => {
  for (const node of open.splice(0)) await node.close()
})

async function start(options: Partial<NodeOptions<typeof machine>> = {}): Promise<Node<typeof machine>> {
  const node = await createNode({
    id: 'n1',
    cluster: 'watched',
    machine,
    members: { n1: 'a1' },
    storage: memoryStorage(),
    transport: memoryNetwork().transport(),
    protocol: echo,
    ...options,
  })
  open.push(node)
  return node
}

describe('the logger', () => {
  test('gets one line per event worth one, named, with cluster, node and group', async () => {
    const lines: { level: string; fields: Record<string, unknown>; message: string }[] = []
    const log = (level: string) => (fields: object, message: string) =>
      void lines.push({ level, fields: { ...fields }, message })
    const logger: Logger = { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') }
    const node = await start({ logger })
    await node.ready()
    await node.close()
    const names = lines.map(({ level, fields }) => `${level} ${fields.evt}`)
    expect(names).toContain('info raft.started')
    expect(names).toContain('info raft.ready')
    expect(names.at(-1)).toBe('info raft.closed')
    for (const { fields, message } of lines) {
      expect(fields).toMatchObject({ cluster: 'watched', node: 'n1', group: 'main' })
      expect(message.length).toBeGreaterThan(3)
    }
  })
})

describe('metrics', () => {
  test('count calls by result, and are readable by a scraper', async () => {
    const node = await start()
    await node.commands.add(2)
    await node.commands.add(3)
    expect(await node.queries.get()).toBe(5)
    expect(await node.queries.get(undefined, { consistency: 'stale' })).toBe(5)
    const sample = (name: string, labels: object = {}): number | undefined =>
      node
        .metrics()
        .flatMap(({ samples }) => samples)
        .find(
          (each) => each.name === name && Object.entries(labels).every(([key, value]) => each.labels[key] === value),
        )?.value
    expect(sample('raft_up')).toBe(1)
    expect(sample('raft_is_leader')).toBe(1)
    expect(sample('raft_applied_index')).toBe(3) // a session was opened for the two commands
    expect(sample('raft_proposals_total', { result: 'applied' })).toBe(3)
    expect(sample('raft_reads_total', { mode: 'linearizable' })).toBe(1)
    expect(sample('raft_reads_total', { mode: 'stale' })).toBe(1)
    expect(sample('raft_commit_duration_seconds_count')).toBe(3)

    const text = node.prometheus()
    for (const line of text.trimEnd().split('\n'))
      expect(line).toMatch(/^(# (HELP|TYPE) raft_\w+ .+|raft_\w+\{[^}]*\} (\d+(\.\d+)?(e-?\d+)?))$/)
    expect(text).toMatch(
      /raft_wal_fsync_duration_seconds_bucket\{cluster="watched",node="n1",group="main",le="\+Inf"\} \d/,
    )
  })

  test('of a histogram add up', async () => {
    const node = await start()
    for (let i = 0; i < 5; i++) await node.commands.add(1)
    const { samples } = node.metrics().find(({ name }) => name === 'raft_commit_duration_seconds')!
    const buckets = samples.filter(({ name }) => name.endsWith('_bucket')).map(({ value }) => value)
    expect(buckets).toEqual([...buckets].sort((a, b) => a - b))
    expect(buckets.at(-1)).toBe(samples.find(({ name }) => name.endsWith('_count'))!.value)
  })
})

describe('tracing', () => {
  test('calls appear on the diagnostics channel while somebody listens', async () => {
    const node = await start()
    const seen: string[] = []
    const channel = tracingChannel('raftkit:call')
    const note = (phase: string) => (context: unknown) => {
      const { operation, name } = context as { operation: string; name?: string }
      seen.push(`${phase} ${operation} ${name ?? ''}`.trim())
    }
    const subscribers = {
      start: note('start'),
      end() {},
      asyncStart() {},
      asyncEnd: note('end'),
      error: note('error'),
    }
    channel.subscribe(subscribers)
    await node.commands.add(1)
    await node.queries.get()
    await expect(node.propose(new Uint8Array())).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    channel.unsubscribe(subscribers)
    await node.commands.add(1)
    expect(seen).toEqual(['start command add', 'end command add', 'start query get', 'end query get'])
  })
})

describe('events', () => {
  test('reach listeners and streams, which end when the node is closed', async () => {
    const node = await start()
    const applied: number[] = []
    node.on('applied', ({ to }) => applied.push(to))
    const types: string[] = []
    const reading = (async () => {
      for await (const { type } of node.events()) types.push(type)
    })()
    await node.commands.add(1)
    await node.close()
    await reading
    expect(applied).toContain(2)
    expect(types).toContain('durable')
    expect(types.at(-1)).toBe('closed')
  })
})
