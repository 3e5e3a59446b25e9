import { expect, test } from 'vitest'
import { cluster, converged } from './cluster.ts'

test('loss, duplicates, replays and reordering are told, and do no harm', async () => {
  const { world, faults, until, add } = await cluster(1, {
    weather: { delay: [0.5, 30], loss: 0.1, duplicate: 0.1, replay: 0.1, reorder: 0.2, late: 500 },
    node: { timing: { electionTimeout: 500 } },
  })
  for (let i = 1; i <= 30; i++) expect(await add(1)).toBe(i)
  world.network.setWeather({ loss: 0, duplicate: 0, replay: 0, reorder: 0 })
  await until(() => converged(world))
  expect(new Set(faults.map(({ kind }) => kind))).toEqual(new Set(['loss', 'duplicate', 'replay', 'reorder']))
  world.close()
})

test('cut off in one direction, a leader makes way', async () => {
  const { world, until, add } = await cluster(2)
  const old = world.leader!
  for (const { id } of world.servers.values()) if (id !== old.id) world.network.cut(id, old.id)
  await until(() => world.leader !== undefined && world.leader !== old)
  await add(1)
  world.network.heal()
  await until(() => converged(world))
  world.close()
})

test('a partition keeps a minority from serving; healed, it catches up', async () => {
  const { world, until, add } = await cluster(3)
  const old = world.leader!
  const others = [...world.servers.keys()].filter((id) => id !== old.id)
  world.network.partition([[old.id], others])
  const reading = old.call((node) => node.query({ name: 'get', input: 'visits' }, { timeout: 3000 }))
  await until(() => world.leader !== undefined && world.leader !== old)
  expect(await add(1)).toBe(1)
  let outcome = ''
  void reading.then((called) => {
    outcome = called.outcome
  })
  await until(() => outcome !== '')
  expect(outcome).not.toBe('done')
  world.network.heal()
  await until(() => converged(world))
  world.close()
})

test('a thin line delays what is large, and control frames do not wait behind it', async () => {
  const { world, until, add, ask } = await cluster(4, { weather: { bytesPerMs: 20 }, network: { queueBytes: 200_000 } })
  const leader = world.leader!
  for (let i = 0; i < 10; i++) void ask(1, 'k'.repeat(50_000))
  await world.run({ until: world.now + 4000 })
  expect(world.leader).toBe(leader)
  world.network.setWeather({ bytesPerMs: Number.POSITIVE_INFINITY })
  expect(await add(1)).toBe(1)
  await until(() => converged(world))
  world.close()
})

test('what crept over a line arrives once the line is fast again, and so does what comes after it', async () => {
  const { world, add, ask } = await cluster(3)
  world.network.setWeather({ bytesPerMs: 1 })
  for (let i = 0; i < 4; i++) void ask(1, 'k'.repeat(50_000))
  await world.run({ until: world.now + 1000 })
  world.network.setWeather({ bytesPerMs: Number.POSITIVE_INFINITY })
  const fast = world.now
  await add(1)
  await world.run({ when: () => converged(world) })
  expect(world.now - fast).toBeLessThan(10_000)
  world.close()
})

test('a connection that is reset comes back', async () => {
  const { world, until, add } = await cluster(5)
  const downs: string[] = []
  world.watchers.add({
    told: ({ id }, event) => event.type === 'link' && downs.push(`${id} ${event.peer} ${event.state}`),
  })
  world.network.reset('n1', 'n2')
  await until(() => downs.includes('n1 n2 up') && downs.includes('n2 n1 up'))
  expect(downs).toContain('n1 n2 down')
  expect(downs).toContain('n2 n1 down')
  await add(1)
  world.close()
})
