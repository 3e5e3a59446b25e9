import { afterAll, beforeAll, expect, test } from 'vitest'
import { ask, ThreeMembers } from './three-members.ts'

let cluster: ThreeMembers
beforeAll(async () => {
  cluster = await ThreeMembers.start({ timeout: 1_000 })
})
afterAll(() => cluster.stop())

test('without a majority a change is never reported as done, and the answer says whether it may have happened', async () => {
  const leader = await cluster.leader()
  expect((await ask(cluster.url(leader), '/v1/kv/k', { method: 'PUT', body: { value: 'before' } })).status).toBe(200)
  cluster.network.isolate(leader)
  const answer = await ask(cluster.url(leader), '/v1/kv/k', { method: 'PUT', body: { value: 'cut off' } })
  // The old leader had placed it before it noticed that nobody hears it.
  expect([answer.status, answer.body.error.outcome]).toEqual([504, 'unknown'])

  const puts = ['many/1', 'many/2'].map((key) => ({ key, value: 'cut off' }))
  const many = await ask(cluster.url(leader), '/v1/kv', { method: 'POST', body: { puts } })
  expect(many.status).toBe(207)
  for (const { error } of many.body.results) expect(['unknown', 'refused']).toContain(error.outcome)

  const others = [...cluster.served.keys()].filter((id) => id !== leader)
  await cluster.leader(others)
  const elsewhere = await ask(cluster.url(others[0]!), '/v1/kv/k', { method: 'PUT', body: { value: 'majority' } })
  expect(elsewhere.status).toBe(200)

  // Local answers go on, ready does not.
  expect((await ask(cluster.url(leader), '/livez')).status).toBe(200)
  expect((await ask(cluster.url(leader), '/readyz')).status).toBeGreaterThanOrEqual(503)
  expect((await ask(cluster.url(leader), '/v1/kv/k?consistency=stale')).body.value).not.toBe('majority')
  const read = await ask(cluster.url(leader), '/v1/kv/k')
  expect(read.status).toBeGreaterThanOrEqual(503)

  cluster.network.heal()
  await cluster.leader()
  expect((await ask(cluster.url(leader), '/v1/kv/k')).body.value).toBe('majority')
}, 20_000)

test('a member that leaves is not ready any more, hands leadership over and stops answering', async () => {
  const leader = await cluster.leader()
  const { stop, url } = cluster.served.get(leader)!
  const others = [...cluster.served.keys()].filter((id) => id !== leader)
  await Promise.all([stop(), stop()])
  await expect(ask(url, '/livez')).rejects.toThrow()
  const next = await cluster.leader(others)
  expect(next).not.toBe(leader)
  expect((await ask(cluster.url(next), '/v1/kv/after', { method: 'PUT', body: { value: 'x' } })).status).toBe(200)
})
