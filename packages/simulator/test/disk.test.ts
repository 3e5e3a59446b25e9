import { isRaftkitError } from '@raftkit/contract'
import { expect, test } from 'vitest'
import { cluster, converged } from './cluster.ts'

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
