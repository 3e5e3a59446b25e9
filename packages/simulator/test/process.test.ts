import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import type { Watcher } from '../src/index.ts'
import { cluster, converged } from './cluster.ts'

test('a server dies inside a turn, after any of its effects, and nothing of it happens any more', async () => {
  const ofTheDead: string[] = []
  const alive: Watcher = {
    stepped: ({ id, alive }, { type }) => alive || ofTheDead.push(`${id} ${type}`),
    left: ({ id, alive }) => alive || ofTheDead.push(`${id} left`),
    issued: ({ id, alive }) => alive || ofTheDead.push(`${id} issued`),
    told: ({ id, alive }, { type }) => alive || ofTheDead.push(`${id} told ${type}`),
    applied: ({ id, alive }) => alive || ofTheDead.push(`${id} applied`),
  }
  const { world, until, add } = await cluster(3, { watchers: [alive] })
  for (let effects = 1; effects <= 12; effects++) {
    const leader = world.leader!
    leader.killAfter(effects)
    expect(await add(effects)).toBe((effects * (effects + 1)) / 2)
    await until(() => !leader.alive)
    leader.start()
    await until(() => world.leader !== undefined && converged(world))
  }
  expect(ofTheDead).toEqual([])
  expect(await add(0)).toBe(78)
  world.close()
})

test('a call is unknown when its process dies, and refused where none runs', async () => {
  const { world, until } = await cluster(4)
  const leader = world.leader!
  const calls = [leader.call((node) => node.snapshot()), leader.call((node) => node.ready())]
  leader.kill()
  expect((await Promise.all(calls)).map(({ outcome }) => outcome)).toEqual(['unknown', 'unknown'])
  expect((await leader.call((node) => node.ready())).outcome).toBe('refused')
  await until(() => world.leader !== undefined)
  world.close()
})

test('a paused leader is replaced; once it goes on, it sees the stall and follows', async () => {
  const stalls: string[] = []
  const { world, until, add } = await cluster(5, {
    watchers: [{ told: ({ id }, { type }) => type === 'stalled' && stalls.push(id) }],
  })
  const old = world.leader!
  old.pause()
  await until(() => world.leader !== undefined && world.leader !== old)
  await add(1)
  old.resume()
  await until(() => converged(world) && old.protocol?.role.type === 'follower')
  expect(stalls).toContain(old.id)
  world.close()
})

test('a process that stands still in the middle of a turn acts late, and is heard in the meantime by nobody', async () => {
  const sent: { from: string; leaves: number }[] = []
  const { world, until, add } = await cluster(6)
  world.watchers.add({ arrived: ({ from }) => sent.push({ from, leaves: world.now }) })
  const leader = world.leader!
  leader.stall(2, 3000)
  const began = world.now
  await add(1)
  const stalled = sent.filter(({ from, leaves }) => from === leader.id && leaves > began + 50 && leaves < began + 2900)
  expect(stalled).toEqual([])
  await until(() => converged(world))
  world.close()
})

test('a server closes in order, and its leadership goes to another at once', async () => {
  const { world, until, add } = await cluster(7)
  await add(1)
  const old = world.leader!
  let closed = false
  void old.close().then(() => {
    closed = true
  })
  const began = world.now
  await until(() => closed && world.leader !== undefined)
  expect(world.now - began).toBeLessThan(500)
  expect(old.state).toBe('off')
  expect(old.failure).toBeUndefined()
  world.close()
})

test('a wiped server comes back under another incarnation and is taken in again', async () => {
  const { world, until, add } = await cluster(8)
  await add(1)
  const wiped = [...world.servers.values()].find((server) => server !== world.leader)!
  const before = wiped.incarnation
  expect(world.mayDamage(wiped)).toBe(true)
  wiped.wipe()
  expect(wiped.disk.durable.last).toBe(0)
  wiped.start()
  await until(() => wiped.state === 'up')
  expect(wiped.incarnation).not.toBe(before)
  const others = [...world.servers.values()].filter((server) => server !== wiped)
  expect(others.some((server) => world.mayDamage(server))).toBe(false)
  const replaced = world.leader!.call((node) =>
    node.members.replace(wiped.id, { id: wiped.id, address: wiped.address }),
  )
  let outcome = ''
  void replaced.then((called) => {
    outcome = called.outcome
  })
  await until(() => outcome !== '' && converged(world))
  expect(outcome).toBe('done')
  expect(others.some((server) => world.mayDamage(server))).toBe(true)
  world.close()
})

test.each([
  { founders: ['n1'], joiner: false },
  { founders: ['n1', 'n2', 'n3'], joiner: true },
])('while a member joins $founders, only what its vote will not need may be damaged (seed 739)', async (of) => {
  const { world, until } = await cluster(12, {}, of.founders)
  const joiner = world.server('n9')
  joiner.start({ join: true })
  await until(() => joiner.state === 'up')
  void world.leader!.call((node) => node.members.addVoter(joiner.id, joiner.address))
  await until(() => {
    const { config, configCommitted } = world.leader!.protocol!.status()
    return configCommitted && config.members.some(({ role }) => role === 'joining')
  })
  expect(world.mayDamage(joiner)).toBe(of.joiner)
  for (const id of of.founders) expect(world.mayDamage(world.server(id))).toBe(false)
  world.close()
})

test('clocks run apart, and wall clocks jump', async () => {
  const { world, until, add } = await cluster(9)
  const [a, b, c] = [...world.servers.values()]
  a!.clock.drift(1.05, world.now)
  b!.clock.drift(0.95, world.now)
  c!.clock.jumpWall(-3_600_000)
  for (let i = 1; i <= 20; i++) {
    await add(1)
    await world.run({ until: world.now + 500 })
  }
  await until(() => converged(world))
  expect(await add(0)).toBe(20)
  world.close()
})

test('dead processes do not stay in memory', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const lives: WeakRef<object>[] = []
  const { world, until } = await cluster(10)
  world.watchers.add({ booted: (server) => lives.push(new WeakRef(server.process!), new WeakRef(server.protocol!)) })
  for (let i = 0; i < 10; i++) {
    const { leader } = world
    leader!.kill()
    leader!.start()
    await until(() => world.leader !== undefined && converged(world))
  }
  // What was due for them, long timeouts of calls among it, goes as its time comes.
  await world.run({ until: world.now + 60_000 })
  for (let i = 0; i < 20 && lives.some((life, at) => at < 14 && life.deref()); i++) {
    await nextTurn()
    collect()
  }
  expect(lives.length).toBe(20)
  expect(lives.slice(0, 14).map((life) => life.deref() === undefined)).toEqual(lives.slice(0, 14).map(() => true))
  world.close()
})
