import { jointConsensus } from '@raftkit/membership'
import { expect, test } from 'vitest'
import { World } from './world.ts'

test('three servers found, elect, replicate, restart, snapshot, change', () => {
  const world = new World(['a', 'b', 'c'], { membership: jointConsensus() as never, limits: { trailingEntries: 2 } })
  const leader = world.elect()
  const id = leader.propose('x')
  world.run(200)
  expect(leader.outcome(id)).toMatchObject({ type: 'committed' })
  for (const server of world.servers.values()) expect([...server.applied.values()]).toEqual(['x'])
  const follower = [...world.servers.values()].find((server) => server !== leader)!
  const fid = follower.propose('y')
  const rid = follower.read()
  world.run(300)
  expect(follower.outcome(fid)).toMatchObject({ type: 'committed' })
  expect(follower.outcome(rid)).toMatchObject({ type: 'read' })
  leader.crash()
  const second = world.elect()
  expect(second).not.toBe(leader)
  for (let n = 0; n < 20; n++) second.propose(`z${n}`)
  world.run(200)
  second.snapshot()
  world.run(10)
  expect(second.raft.log.first).toBeGreaterThan(10)
  leader.restart()
  world.run(3000)
  expect([...leader.applied.values()]).toEqual([...second.applied.values()])
  expect(leader.happenings('snapshot').map((h) => h.step)).toContain('installed')
  const d = world.add('d')
  d.take()
  const now = world.elect()
  const cid = now.change({ type: 'addVoter', id: 'd', incarnation: d.incarnation, address: 'd' })
  world.run(3000)
  expect(now.outcome(cid)).toMatchObject({ type: 'committed' })
  expect(d.raft.status().config.members.map((m) => `${m.id}:${m.role}`)).toEqual([
    'a:voter',
    'b:voter',
    'c:voter',
    'd:voter',
  ])
  const rm = now.change({ type: 'remove', id: now.id })
  world.run(5000)
  expect(now.outcome(rm)).toMatchObject({ type: 'committed' })
  expect(world.leader).not.toBe(now)
  world.leader!.propose('after')
  world.run(200)
  expect([...d.applied.values()].at(-1)).toBe('after')
})
