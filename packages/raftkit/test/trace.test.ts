import { afterEach, describe, expect, test } from 'vitest'
import { type NodeEvent, type TraceLine, traceWriter } from '../src/index.ts'
import { Cluster, until } from './cluster.ts'

const open: Cluster[] = []
afterEach(async () => {
  for (const cluster of open.splice(0)) await cluster.close()
})

async function start(options: Parameters<typeof Cluster.start>[1], size = 3): Promise<Cluster> {
  const cluster = await Cluster.start(size, options)
  open.push(cluster)
  return cluster
}

const parsed = (lines: readonly string[]): TraceLine[] => lines.slice(1).map((line) => JSON.parse(line) as TraceLine)

describe('a trace of a live node', () => {
  test('begins with a header, and tells of messages and writes in lines of JSON', async () => {
    const lines: string[] = []
    const cluster = await start({})
    const node = await cluster.leader()
    await cluster.kill(node.id)
    await cluster.start(node.id, { observer: traceWriter((line) => lines.push(line), { cluster: 'counters' }) })
    await cluster.node(node.id).commands.add({ key: 'a' })
    await until(() => parsed(lines).some(({ type }) => type === 'applied'))

    expect(JSON.parse(lines[0]!)).toEqual({
      format: 'raftkit-trace',
      version: 1,
      source: 'node',
      cluster: 'counters',
      node: node.id,
      wall: expect.any(Number),
    })
    for (const line of lines) expect(line).toMatch(/^\{.*\}\n$/)
    const events = parsed(lines)
    const types = new Set(events.map(({ type }) => type))
    for (const type of ['started', 'sent', 'received', 'write', 'durable', 'commit', 'applied'])
      expect(types, type).toContain(type)
    for (const event of events) {
      expect(event).toMatchObject({ at: expect.any(Number), node: node.id, type: expect.any(String) })
      if (event.type === 'received') expect(event.message).toMatchObject({ kind: expect.any(String) })
    }
  })

  test('holds nothing of what users put in', async () => {
    const lines: string[] = []
    const cluster = await start({ observer: traceWriter((line) => lines.push(line)) }, 1)
    await cluster.node('n1').commands.add({ key: 'very-private' })
    await until(() => parsed(lines).some(({ type }) => type === 'applied'))
    expect(lines.join('')).not.toContain('very-private')
    expect(lines.join('')).not.toContain(Buffer.from('very-private').toString('base64'))
  })

  test('costs nothing where nobody asks for detail: messages and writes are not even told', async () => {
    const events: NodeEvent[] = []
    const cluster = await start({ observer: (event) => events.push(event) })
    const node = await cluster.leader()
    const stop = node.on('*', (event) => events.push(event))
    await node.commands.add({ key: 'a' })
    stop()
    expect(events.some(({ type }) => type === 'applied')).toBe(true)
    expect(events.filter(({ type }) => type === 'sent' || type === 'received' || type === 'write')).toEqual([])
  })

  test('who listens to messages alone is told of them, until it ends', async () => {
    const cluster = await start({})
    const node = await cluster.leader()
    let heard = 0
    const stop = node.on('received', () => heard++)
    await until(() => heard > 0)
    stop()
    const before = heard
    await node.commands.add({ key: 'a' })
    expect(heard).toBe(before)
  })
})
