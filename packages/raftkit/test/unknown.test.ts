import type { Transport } from '@raftkit/contract'
import { afterEach, describe, expect, test } from 'vitest'
import { Cluster, until } from './cluster.ts'

let cluster: Cluster
afterEach(async () => {
  await cluster?.close()
})

const peers = ['n1', 'n2', 'n3'].map((id) => ({ id, address: `at-${id}` }))
const members = (...ids: string[]) => Object.fromEntries(ids.map((id) => [id, `at-${id}`]))
const refusals = (node: string): string[] =>
  cluster.events.flatMap((event) => (event.node === node && event.type === 'refused' ? [event.reason] : []))
const hellos = (node: string, peer: string): number =>
  cluster.events.filter((event) => event.node === node && event.type === 'hello' && event.peer === peer).length

describe('a node that no configuration lists', () => {
  test('and that belongs to no cluster is not listened to: whoever would found with a longer list hears why', async () => {
    cluster = await Cluster.start(3, { closeTimeout: 0 })
    await until(() => [...cluster.nodes.values()].every((node) => node.status().configCommitted))
    const terms = [...cluster.nodes.values()].map((node) => node.status().term)
    await cluster.start('n9', { members: members('n1', 'n2', 'n3', 'n9'), join: false, closeTimeout: 0 })
    for (const id of ['n1', 'n2', 'n3'])
      await until(() =>
        refusals(id).some((reason) => reason.includes('n9 of cluster counters is refused: no configuration lists it')),
      )
    expect(['n1', 'n2', 'n3'].map((id) => hellos(id, 'n9'))).toEqual([0, 0, 0])
    expect(await cluster.node('n1').commands.add({ key: 'a' })).toBe(1)
    expect(['n1', 'n2', 'n3'].map((id) => cluster.node(id).status().term)).toEqual(terms)
  })

  test('is let in as soon as a member adds it, by whichever member', async () => {
    cluster = await Cluster.start(3, { closeTimeout: 0 })
    // It dials by itself from the first moment on, as whoever cannot be dialled would.
    const inner = cluster.network.transport()
    const eager: Transport = {
      contract: 1,
      maxFrameBytes: inner.maxFrameBytes,
      start: async (self, receiver) => {
        await inner.start(self, receiver)
        inner.setPeers(peers)
      },
      send: (to, frame, lane) => inner.send(to, frame, lane),
      setPeers: (more) => inner.setPeers([...peers, ...more]),
      close: () => inner.close(),
    }
    await cluster.start('n4', { transport: eager })
    for (const id of ['n1', 'n2', 'n3']) await until(() => refusals(id).length > 0)
    const config = await (await cluster.follower()).members.addVoter('n4', 'at-n4')
    expect(config.members.map(({ id }) => id)).toEqual(['n1', 'n2', 'n3', 'n4'])
    await cluster.converge()
    for (const id of ['n1', 'n2', 'n3']) await until(() => hellos(id, 'n4') > 0)
  })

  test('but was a member is let in, and hears that it was removed (thesis, 4.2.3)', async () => {
    cluster = await Cluster.start(4, { closeTimeout: 0 })
    const leader = await cluster.leader()
    const gone = [...cluster.nodes.keys()].find((id) => id !== leader.id)!
    await cluster.kill(gone)
    await leader.members.remove(gone)
    const back = await cluster.start(gone)
    await until(() => back.status().removed)
  })

  test('and lost its disk after it was removed is refused, though it is a founder', async () => {
    cluster = await Cluster.start(4, { closeTimeout: 0 })
    const leader = await cluster.leader()
    const gone = [...cluster.nodes.keys()].find((id) => id !== leader.id)!
    await cluster.kill(gone)
    await leader.members.remove(gone)
    cluster.wipe(gone)
    await cluster.start(gone)
    await until(() => refusals(leader.id).some((reason) => reason.includes(`${gone} of cluster counters is refused`)))
    expect(await leader.commands.add({ key: 'a' })).toBe(1)
  })
})

test('a member that lost its disk is let in under its name, and put in its own place', async () => {
  cluster = await Cluster.start(3, { closeTimeout: 0 })
  const leader = await cluster.leader()
  const wiped = [...cluster.nodes.keys()].find((id) => id !== leader.id)!
  await cluster.kill(wiped)
  cluster.wipe(wiped)
  await cluster.start(wiped)
  const config = await leader.members.replace(wiped, { id: wiped, address: `at-${wiped}` })
  expect(config.members).toHaveLength(3)
  await cluster.converge()
  expect(refusals(leader.id)).toEqual([])
})

test('a member that missed all later configurations still follows a leader that it does not know', async () => {
  cluster = await Cluster.start(3, { closeTimeout: 0 })
  await cluster.leader()
  await cluster.kill('n3')
  for (const id of ['n4', 'n5']) {
    await cluster.start(id)
    await (await cluster.leader(['n1', 'n2'])).members.addVoter(id, `at-${id}`)
  }
  const leader = await cluster.leader()
  if (leader.id !== 'n4') await leader.transferLeadership('n4')
  await until(() => cluster.node('n4').status().role === 'leader')
  const late = await cluster.start('n3')
  await until(() => late.status().leader === 'n4')
  await cluster.converge()
})
