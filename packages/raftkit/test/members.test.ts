import { memoryStorage } from '@raftkit/storage-memory'
import { afterEach, describe, expect, test } from 'vitest'
import { createNode } from '../src/index.ts'
import { Cluster, counters, until } from './cluster.ts'

let cluster: Cluster
afterEach(async () => {
  await cluster?.close()
})

const fast = { closeTimeout: 0 }
const ids = (config: { readonly members: readonly { readonly id: string; readonly role: string }[] }): string[] =>
  config.members.map(({ id, role }) => `${id} ${role}`)

describe('membership', () => {
  test('a newcomer is dialled, catches up, and is promoted; the call ends when it votes', async () => {
    cluster = await Cluster.start(3, fast)
    const node = await cluster.follower() // any node may be asked
    for (let i = 0; i < 100; i++) await node.commands.add({ key: 'a' })
    const newcomer = await cluster.start('n4')
    let ready = false
    void newcomer.ready().then(() => {
      ready = true
    })
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(ready).toBe(false)
    const seen: string[][] = []
    const config = await node.members.addVoter('n4', 'at-n4', {
      onProgress: (config) => seen.push(ids(config)),
    })
    expect(ids(config)).toEqual(['n1 voter', 'n2 voter', 'n3 voter', 'n4 voter'])
    expect(seen[0]).toContain('n4 joining')
    expect(seen.at(-1)).toEqual(ids(config))
    await until(() => ready)
    expect(await newcomer.queries.get('a')).toBe(100)
    expect(await newcomer.commands.add({ key: 'a' })).toBe(101)
    await cluster.converge()
  })

  test('a voter leaves, the leader too; the others go on', async () => {
    cluster = await Cluster.start(4, fast)
    const leader = await cluster.leader()
    const other = await cluster.follower()
    const config = await other.members.remove(leader.id)
    expect(config.members).toHaveLength(3)
    expect(config.members.some(({ id }) => id === leader.id)).toBe(false)
    const next = await cluster.leader([...cluster.nodes.keys()].filter((id) => id !== leader.id))
    expect(await next.commands.add({ key: 'a' })).toBe(1)
  })

  test('a member removes itself, and is told', async () => {
    cluster = await Cluster.start(3, fast)
    const node = await cluster.follower()
    const config = await node.members.remove(node.id)
    expect(config.members.map(({ id }) => id)).not.toContain(node.id)
    const rest = [...cluster.nodes.keys()].filter((id) => id !== node.id)
    const leader = await cluster.leader(rest)
    await until(() => leader.members.list().length === 2 && leader.status().configCommitted)
    expect(await leader.commands.add({ key: 'a' })).toBe(1)
  })

  test('a voter is demoted to a learner and promoted again', async () => {
    cluster = await Cluster.start(3, fast)
    const leader = await cluster.leader()
    const { id } = await cluster.follower()
    expect(ids(await leader.members.demote(id))).toContain(`${id} learner`)
    await leader.commands.add({ key: 'a' })
    expect(ids(await leader.members.promote(id))).toContain(`${id} voter`)
    expect(leader.members.list()).toHaveLength(3)
  })

  test('a learner gets the log and does not vote', async () => {
    cluster = await Cluster.start(3, fast)
    const learner = await cluster.start('n4')
    const leader = await cluster.leader()
    expect(ids(await leader.members.addLearner('n4', 'at-n4'))).toContain('n4 learner')
    await leader.commands.add({ key: 'a' })
    await learner.ready()
    expect(await learner.queries.get('a')).toBe(1)
  })

  test('a learner without an address dials those it was told of, and is added by its name', async () => {
    cluster = await Cluster.start(3, fast)
    const contacts = { n1: 'at-n1', n2: 'at-n2', n3: 'at-n3' }
    const leader = await cluster.leader()
    const added = leader.members.addLearner('page')
    const page = await createNode({
      id: 'page',
      cluster: 'counters',
      machine: counters,
      join: true,
      members: contacts,
      storage: memoryStorage(),
      transport: cluster.network.transport(),
    })
    try {
      const config = await added
      expect(ids(config)).toContain('page learner')
      expect(config.members.find(({ id }) => id === 'page')).not.toHaveProperty('address')
      await leader.commands.add({ key: 'a' })
      await page.ready()
      expect(await page.queries.get('a')).toBe(1)
      await expect(leader.members.addVoter('other', undefined as never)).rejects.toMatchObject({
        code: 'INVALID_OPTION',
      })
      await expect(leader.members.addLearner('nobody', undefined, { timeout: 200 })).rejects.toMatchObject({
        code: 'TRANSPORT_FAILED',
        message: expect.stringContaining('did not dial this node'),
      })
    } finally {
      await page.close()
    }
  })

  test('a wiped member comes back under a new incarnation, by replacing itself', async () => {
    cluster = await Cluster.start(3, fast)
    const leader = await cluster.leader()
    for (let i = 0; i < 20; i++) await leader.commands.add({ key: 'a' })
    const { id } = await cluster.follower()
    const old = cluster.node(id).status().incarnation
    await cluster.kill(id)
    cluster.wipe(id)
    const back = await cluster.start(id)
    expect(back.status().incarnation).not.toBe(old)
    const config = await leader.members.replace(id, { id, address: `at-${id}` })
    expect(ids(config)).toEqual(['n1 voter', 'n2 voter', 'n3 voter'])
    await back.ready()
    expect(config.members.find((member) => member.id === id)?.incarnation).toBe(back.status().incarnation)
    expect(await back.queries.get('a')).toBe(20)
    await cluster.converge()
  })

  test('one comes as one goes', async () => {
    cluster = await Cluster.start(3, fast)
    await cluster.start('n4')
    const leader = await cluster.leader()
    const { id } = await cluster.follower()
    const config = await leader.members.replace(id, { id: 'n4', address: 'at-n4' })
    expect(config.members.map((member) => member.id)).toContain('n4')
    expect(config.members.map((member) => member.id)).not.toContain(id)
    expect(config.members).toHaveLength(3)
  })
})

describe('membership is refused', () => {
  test('without a policy', async () => {
    cluster = await Cluster.start(1, { ...fast, membership: undefined as never })
    await expect(cluster.node('n1').members.remove('n1')).rejects.toMatchObject({ code: 'MEMBERSHIP_FIXED' })
  })

  test('when the newcomer does not answer: nothing was changed', async () => {
    cluster = await Cluster.start(1, fast)
    const node = cluster.node('n1')
    const failure = await node.members.addVoter('n9', 'nowhere', { timeout: 100 }).catch((error) => error)
    expect(failure).toMatchObject({ code: 'TRANSPORT_FAILED', outcome: 'refused', retryable: true })
    expect(failure.message).toMatch(/n9 did not answer at nowhere.*join: true/)
    expect(node.members.list()).toHaveLength(1)
  })

  test('for who is no member, and for bad names', async () => {
    cluster = await Cluster.start(1, fast)
    const { members } = cluster.node('n1')
    await expect(members.remove('n9')).rejects.toMatchObject({ code: 'NOT_A_MEMBER', outcome: 'refused' })
    for (const request of [
      undefined,
      null,
      7,
      'remove',
      {},
      { type: 'explode' },
      () => 1,
      { type: 'remove', id: () => 1 },
    ]) {
      const failure = await members.change(request).catch((error) => error)
      expect(failure).toMatchObject({ outcome: 'refused', code: expect.stringMatching(/^INVALID_/) })
    }
    expect(cluster.node('n1').status().state).toBe('running')
    await expect(members.addVoter('../n9', 'x')).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    await expect(members.addVoter('n9', '')).rejects.toMatchObject({ code: 'INVALID_OPTION' })
  })

  test('when the caller aborts while the newcomer is dialled', async () => {
    cluster = await Cluster.start(1, fast)
    const abort = new AbortController()
    const adding = cluster.node('n1').members.addVoter('n9', 'nowhere', { signal: abort.signal })
    abort.abort()
    await expect(adding).rejects.toMatchObject({ code: 'ABORTED', outcome: 'refused' })
  })
})
