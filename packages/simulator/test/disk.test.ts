import { Writer } from '@raftkit/bytes'
import { isRaftkitError } from '@raftkit/contract'
import { memoryStorage } from '@raftkit/storage-memory'
import { replicate } from 'raftkit'
import { describe, expect, test } from 'vitest'
import { World } from '../src/index.ts'
import { ExpectedLog } from '../src/world/disk/expected.ts'
import { Process } from '../src/world/process.ts'
import { cluster, converged, counters } from './cluster.ts'

const kinds = (faults: readonly { readonly kind: string }[]): string[] => faults.map(({ kind }) => kind)

test('a failed flush stops the node; after a restart it goes on with a prefix of what it wrote', async () => {
  const { world, faults, until, add } = await cluster(1)
  const leader = world.leader!
  leader.disk.fail()
  await add(1)
  await until(() => !leader.alive)
  expect(isRaftkitError(leader.failure, 'STORAGE_FAILED')).toBe(true)
  expect(kinds(faults)).toContain('write-error')
  leader.start()
  await until(() => converged(world))
  world.close()
})

test('on a full disk writes wait, the leader makes way, and there is room again', async () => {
  const { world, until, add } = await cluster(2, { node: { timing: { electionTimeout: 200 } } })
  const leader = world.leader!
  leader.disk.fill()
  await add(1)
  await until(() => world.leader !== undefined && world.leader !== leader)
  expect(leader.alive).toBe(true)
  expect(leader.disk.issued.last).toBeGreaterThan(leader.disk.durable.last)
  leader.disk.free()
  await until(() => converged(world))
  world.close()
})

test('a crash takes what was not flushed: the rest is a prefix', async () => {
  const { world, faults, until, ask } = await cluster(3, { disk: { flush: [5, 20], lost: 0.7 } })
  for (let i = 0; i < 20; i++) {
    const leader = world.leader!
    void ask(i)
    await until(() => leader.disk.issued.last > leader.disk.durable.last)
    const { last } = leader.disk.issued
    leader.kill()
    expect(leader.disk.durable.last).toBeLessThanOrEqual(last)
    leader.start()
    await until(() => world.leader !== undefined && converged(world))
  }
  expect(kinds(faults)).toContain('lost-writes')
  world.close()
})

for (const [fault, detects] of [
  ['rot', 0],
  ['rot', 1],
  ['misdirect', 0],
] as const)
  test(`${fault} in a record is found at the next start (${detects ? 'by the adapter' : 'by the protocol'}), and only where copies are left`, async () => {
    const { world, until, add } = await cluster(4, { disk: { detects } })
    for (let i = 0; i < 5; i++) await add(1)
    await until(() => converged(world))
    const [hit, other] = [...world.servers.values()].filter((server) => server !== world.leader)
    expect(hit!.disk[fault]('record')).toBe(true)
    expect(hit!.disk.damaged).toBe(true)
    expect(other!.disk[fault]('record')).toBe(false)
    hit!.kill()
    hit!.start()
    await until(() => !hit!.alive)
    expect(isRaftkitError(hit!.failure, 'DAMAGED')).toBe(true)
    world.close()
  })

for (const [fault, detects] of [
  ['rot', 0],
  ['rot', 1],
] as const)
  test(`${fault} in a snapshot is found at the next start (${detects ? 'by the adapter' : 'by the machine'})`, async () => {
    const { world, until, add } = await cluster(5, {
      disk: { detects },
      node: { snapshots: { everyEntries: 5, trailingEntries: 2 } },
    })
    for (let i = 0; i < 12; i++) await add(1)
    await until(() => converged(world))
    const hit = [...world.servers.values()].find((server) => server !== world.leader)!
    await until(() => hit.disk.blobs.size === 1)
    expect(hit.disk[fault]('blob')).toBe(true)
    hit.kill()
    hit.start()
    await until(() => !hit.alive)
    expect(isRaftkitError(hit.failure, 'DAMAGED')).toBe(true)
    world.close()
  })

describe('a real log is held to its word', () => {
  const run = (...texts: string[]) => {
    const writer = new Writer()
    for (const text of texts) writer.u32(4 + text.length).raw(new TextEncoder().encode(text))
    return { count: texts.length, bytes: writer.finish() }
  }
  const opening = async () => {
    const world = new World({ seed: 1, machine: () => replicate(counters) })
    const server = world.server('n1')
    const process = new Process(server, ++server.boots)
    const storage = memoryStorage()
    const expected = new ExpectedLog(server.disk)
    const log = await expected.opened(await storage.log('main'), process)
    await log.write({ tail: { at: 1, run: run('one', 'two') }, state: new Uint8Array([1]) })
    return { world, process, storage, expected, log }
  }

  test('by every open: writes that were durable are there, in order, and nothing else is', async () => {
    for (const other of [
      undefined,
      { tail: { at: 1, run: run('one') }, state: new Uint8Array([1]) },
      { tail: { at: 1, run: run('one', 'too') }, state: new Uint8Array([1]) },
      { tail: { at: 1, run: run('one', 'two') }, state: new Uint8Array([2]) },
      { tail: { at: 1, run: run('one', 'two', 'six') }, state: new Uint8Array([1]) },
    ]) {
      const { world, process, expected } = await opening()
      const liar = await memoryStorage().log('main')
      if (other) await liar.write(other)
      expected.crash()
      void expected.opened(liar, process)
      await new Promise((resolve) => setImmediate(resolve))
      expect(world.violation?.invariant).toBe('storage keeps its word')
    }
  })

  test('an honest one is believed, with what was not yet durable or without', async () => {
    const { world, process, storage, expected, log } = await opening()
    await log.close()
    const again = await expected.opened(await storage.log('main'), process)
    expect(again.found).toMatchObject({ first: 1, last: 2 })
    await again.write({ tail: { at: 2, run: run('new') }, compactTo: 1 })
    expect(expected.durable).toMatchObject({ first: 2, last: 2 })
    expect(await again.read(2, 2, 100)).toMatchObject({ count: 1 })
    expect(world.violation).toBeUndefined()
  })
})
