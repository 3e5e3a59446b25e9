import type { Member, Membership } from '@raftkit/contract'
import { jointConsensus } from '@raftkit/membership'
import { describe, expect, test } from 'vitest'
import { fixedMajority } from '../src/index.ts'
import { type QuorumOf, quorumIndex } from '../src/quorum.ts'
import { configOf, Stage } from './stage.ts'
import { type Server, World } from './world.ts'

const policy = jointConsensus()
const joint = { membership: policy as never }
const others = (world: World, than: Server): Server[] => [...world.servers.values()].filter((server) => server !== than)
const roles = (server: Server): string =>
  server.raft
    .status()
    .config.members.map(({ id, role }) => `${id}:${role}`)
    .join(' ')
const newcomer = ({ id, incarnation }: Server) => ({ id, incarnation, address: id })

describe('quorums', () => {
  const member = (id: number, role: string) => ({ id: `n${id}`, incarnation: '1', role }) as never

  test('B20: the committed index is what a count by hand says, whatever was acknowledged, joint or not (databendlabs/openraft#1802)', () => {
    const world = new World()
    const random = (below: number): number => world.random() % below
    const half = (indexes: number[]): number => indexes.sort((a, b) => b - a)[Math.floor(indexes.length / 2)] ?? 0
    const kinds = ['voter', 'incoming', 'outgoing', 'demoted', 'leaving', 'learner', 'joining']
    for (let n = 0; n < 3000; n++) {
      const members = Array.from({ length: 1 + random(7) }, (_, id) => member(id, kinds[random(kinds.length)]!))
      const indexes = new Map<object, number>(members.map((each) => [each, random(6)]))
      const indexesOf = (...among: string[]): number[] =>
        members.filter(({ role }: { role: string }) => among.includes(role)).map((each) => indexes.get(each)!)
      const before = indexesOf('voter', 'leaving', 'outgoing', 'demoted')
      const after = indexesOf('voter', 'leaving', 'incoming')
      const byHand = before.length === 0 || after.length === 0 ? 0 : Math.min(half(before), half(after))
      expect(quorumIndex(policy.isQuorum, { format: 1, members }, (each) => indexes.get(each)!)).toBe(byHand)
    }
  })

  test('B20: acknowledgements in any order commit exactly what a majority holds (databendlabs/openraft#1802)', () => {
    const ids = ['a', 'b', 'c', 'd', 'e']
    for (let seed = 1; seed <= 20; seed++) {
      const stage = new Stage(ids)
      stage.lead()
      for (let n = 0; n < 8; n++) stage.subject.propose(`${n}`)
      const held = new Map(ids.map((id) => [id, id === 'a' ? 10 : 0]))
      const world = new World([], {}, seed)
      for (let n = 0; n < 25; n++) {
        const from = ids[1 + (world.random() % 4)]!
        const match = 1 + (world.random() % 10)
        stage.acknowledge(from, match)
        held.set(from, Math.max(held.get(from)!, match))
        const [, , third] = [...held.values()].sort((x, y) => y - x)
        expect(stage.subject.raft.commit).toBe(third! >= 2 ? third : 0)
      }
    }
  })

  test.each([
    ['fixed', fixedMajority.isQuorum],
    ['joint', policy.isQuorum],
  ] as [string, QuorumOf][])(
    'B21: of 1 to 9 voters, more than half are a quorum and half are none: %s (hashicorp/raft 163a55f)',
    (_, isQuorum) => {
      for (let size = 1; size <= 9; size++) {
        const members = Array.from({ length: size }, (_, id) => member(id, 'voter'))
        for (let subset = 0; subset < 1 << size; subset++) {
          const has = members.filter((_, at) => (subset >> at) & 1)
          expect(isQuorum({ format: 1, members }, (each) => has.includes(each as never))).toBe(has.length * 2 > size)
        }
      }
    },
  )
})

describe('changes', () => {
  test('B42: no change begins before a commit of the own term, so that quorums of two changes cannot miss each other (raft-dev 2015, hydro-project/hydro#3192)', () => {
    // One server at a time (thesis §4.1): joint consensus would hide what is at stake.
    const single: Membership<{ add?: Member; remove?: string }> = {
      isQuorum: fixedMajority.isQuorum,
      begin: ({ format, members }, { add, remove }) => ({
        format,
        members: [...members.filter(({ id }) => id !== remove), ...(add === undefined ? [] : [add])],
      }),
      next: () => undefined,
    }
    const world = new World(['a', 'b', 'c', 'd'], { membership: single as never })
    const first = world.elect()
    const fifth = world.add('e')
    // The first leader adds one, and none of the four hears of it.
    world.partition([first.id, 'e'])
    first.change({ add: { ...newcomer(fifth), role: 'voter' } })
    world.settle()
    expect(fifth.terms).toBe(first.terms)
    // The second removes the first, while one of its voters has heard nothing of its term but its election.
    const rest = others(world, first).filter((server) => server !== fifth)
    const leads = (): Server | undefined => rest.find(({ role }) => role === 'leader')
    world.filter = (from, to, message) => {
      if ([from, to].some((id) => id === first.id || id === 'e')) return false
      const next = leads()
      return message.type !== 'appendEntries' || to === rest.find((server) => server !== next)!.id
    }
    world.runUntil(() => leads() !== undefined)
    const second = leads()!
    const deaf = rest.filter((server) => server !== second)[1]!
    const change = second.change({ remove: first.id })
    world.settle()
    expect(second.outcome(change)).toMatchObject({ type: 'refused', code: 'NOT_READY' })
    // The first leader comes back, with the two who do not know better.
    world.now += 3000
    world.packets = []
    world.partition([first.id, 'e', deaf.id])
    for (let n = 0; n < 4; n++) {
      first.do({ type: 'campaign' })
      world.settle()
    }
    expect(first.role).toBe('leader')
    const committed = new Map<number, number>()
    for (const { raft } of world.servers.values())
      for (let index = 1; index <= raft.commit; index++) {
        const term = raft.log.termAt(index)!
        expect(committed.get(index) ?? term).toBe(term)
        committed.set(index, term)
      }
  })

  test('B42: such a change is refused as not ready, and one on top of another as in flight (raft-dev 2015)', () => {
    const stage = new Stage(['a', 'b', 'c', 'd'], joint)
    stage.lead()
    const early = stage.subject.change({ type: 'remove', id: 'b' })
    expect(stage.subject.outcome(early)).toMatchObject({ type: 'refused', code: 'NOT_READY' })
    for (const from of ['b', 'c']) stage.acknowledge(from, 2)
    const [x, y] = ['x', 'y'].map((id) => newcomer(stage.world.add(id)))
    const first = stage.subject.change({ type: 'addLearner', ...x! })
    const second = stage.subject.change({ type: 'addLearner', ...y! })
    expect(stage.subject.outcome(first)).toBeUndefined()
    expect(stage.subject.outcome(second)).toMatchObject({ type: 'refused', code: 'CHANGE_IN_FLIGHT' })
  })

  test('B43: removals that a follower holds but has not applied decide whom it asks and who counts (etcd-io/etcd#11284, etcd-io/raft#80)', () => {
    const stage = new Stage(['a', 'b', 'c', 'd', 'e'], joint)
    const { subject, world } = stage
    const entries = [
      configOf(world, { a: 'voter', b: 'voter', c: 'voter', d: 'voter', e: 'outgoing' }),
      configOf(world, { a: 'voter', b: 'voter', c: 'voter', d: 'voter' }),
      configOf(world, { a: 'voter', b: 'voter', c: 'voter', d: 'outgoing' }),
      configOf(world, { a: 'voter', b: 'voter', c: 'voter' }),
    ]
    stage.say(
      'b',
      stage.append(
        2,
        [1, 1],
        entries.map((config) => [2, config] as const),
      ),
    )
    expect(subject.raft.commit).toBeLessThan(2)
    subject.do({ type: 'campaign' })
    const requests = stage.heard('requestVote')
    expect(requests.map(({ to }) => to)).toEqual(['b', 'c'])
    const { ballot } = subject.raft
    for (const from of ['d', 'e'])
      stage.say(from, { type: 'vote', term: 3, forTerm: 3, pre: false, ballot, granted: true })
    expect(subject.role).toBe('candidate')
    stage.grant('b', requests)
    expect(subject.role).toBe('leader')
  })

  test('B44: a joint entry that is not the last of the log is left once, by one entry, whoever leads then (etcd-io/raft bd3c759, 477ebd8)', () => {
    for (const crash of [false, true]) {
      const world = new World(['a', 'b', 'c', 'd'], joint)
      const leader = world.elect()
      const gone = others(world, leader)[0]!
      const id = world.nextId++
      leader.step({ type: 'change', id, request: { type: 'remove', id: gone.id }, time: 0 })
      for (let n = 0; n < 5; n++)
        leader.step({ type: 'propose', id: world.nextId++, data: new Uint8Array([65]), time: 0, seed: 0 })
      leader.take()
      expect(leader.raft.log.last).toBeGreaterThan(leader.raft.status().configIndex)
      const { index } = leader.happenings('configuration').at(-1)!
      if (crash) {
        // The others hold the joint entry, and the leader is gone before it is known to be committed.
        while (others(world, leader).some(({ raft }) => raft.log.last < leader.raft.log.last))
          world.deliverOne(({ outgoing }) => outgoing.to !== leader.id)
        leader.crash()
      }
      world.run(10_000)
      const now = world.leader!
      now.propose('x')
      world.run(1000)
      expect(now.raft.log.configs.map(({ index: at }) => at).filter((at) => at >= index)).toHaveLength(2)
      expect(roles(now)).toBe(
        ['a', 'b', 'c', 'd']
          .filter((each) => each !== gone.id)
          .map((each) => `${each}:voter`)
          .join(' '),
      )
    }
  })

  test('B45: a snapshot inside a joint configuration keeps both halves (etcd-io/etcd#11003)', () => {
    const stage = new Stage(['a', 'b', 'c', 'd', 'e'], { ...joint, limits: { trailingEntries: 0 } })
    const { subject, world } = stage
    const config = configOf(world, { a: 'voter', b: 'outgoing', c: 'outgoing', d: 'incoming', e: 'incoming' })
    stage.say('b', stage.append(2, [1, 1], [[2, config], 2], 3))
    subject.snapshot()
    expect(subject.raft.log.first).toBe(4)
    subject.restart()
    expect(subject.raft.status()).toMatchObject({ config, configIndex: 2 })
    subject.do({ type: 'campaign' })
    const requests = stage.heard('requestVote')
    expect(requests.map(({ to }) => to)).toEqual(['b', 'c', 'd', 'e'])
    for (const from of ['d', 'e']) stage.grant(from, requests)
    expect(subject.role).toBe('candidate')
    stage.grant('b', requests)
    expect(subject.role).toBe('leader')
  })

  test('B46: a configuration that only the tail of the log holds is in force after a restart, and finished by who leads then (rabbitmq/ra 110b8d63, 33eb036d; NuRaft#67)', () => {
    const world = new World(['a', 'b', 'c'], joint)
    const leader = world.elect()
    const gone = others(world, leader)[0]!
    const heir = others(world, leader)[1]!
    world.filter = (_from, to) => to === heir.id
    leader.change({ type: 'remove', id: gone.id })
    world.settle()
    expect(roles(heir)).toContain('outgoing')
    leader.crash()
    heir.restart()
    expect(heir.raft.status().configCommitted).toBe(false)
    expect(roles(heir)).toContain('outgoing')
    leader.restart()
    gone.restart()
    world.heal()
    world.run(10_000)
    expect(roles(world.leader!)).toBe(`${[leader.id, heir.id].sort().join(':voter ')}:voter`)
    expect(gone.raft.status().removed).toBe(true)
  })

  test('B47: configurations that were rolled back are in force no more, over snapshot and restart (ClickHouse#105784, openraft#1808, NuRaft#566)', () => {
    const stage = new Stage(['a', 'b', 'c', 'd'], { ...joint, limits: { trailingEntries: 0 } })
    const { subject, world } = stage
    const founded = roles(subject)
    const first = configOf(world, { a: 'voter', b: 'voter', c: 'voter', d: 'outgoing' })
    const second = configOf(world, { a: 'voter', b: 'voter', c: 'voter' })
    stage.say('b', stage.append(2, [1, 1], [[2, first], [2, second], 2]))
    expect(subject.raft.status()).toMatchObject({ config: second, configIndex: 3 })
    stage.say('c', stage.append(3, [1, 1], [3, 3, 3], 4))
    expect(subject.raft.status()).toMatchObject({ configIndex: 1 })
    expect(roles(subject)).toBe(founded)
    subject.snapshot()
    expect(subject.raft.log.first).toBe(5)
    expect(roles(subject)).toBe(founded)
    subject.restart()
    expect(roles(subject)).toBe(founded)
    expect(subject.raft.status().configIndex).toBe(1)
  })

  test('B47: a snapshot holds the configuration of its index, not the one that is proposed behind it (canonical/raft#354)', () => {
    const stage = new Stage(['a', 'b', 'c', 'd'], { ...joint, limits: { trailingEntries: 0 } })
    const { subject, world } = stage
    const founded = roles(subject)
    const next = configOf(world, { a: 'voter', b: 'voter', c: 'voter', d: 'outgoing' })
    stage.say('b', stage.append(2, [1, 1], [2, [2, next]], 2))
    subject.snapshot()
    stage.say('c', stage.append(3, [2, 2], [3]))
    expect(roles(subject)).toBe(founded)
    subject.restart()
    expect(roles(subject)).toBe(founded)
  })

  test.each([2, 3, 5])(
    'B48: of %i members the leader removes itself, the last message lost: it stops leading, and the others go on (etcd-io/etcd#10563, #11038; raft-rs#584)',
    (size) => {
      const world = new World(['a', 'b', 'c', 'd', 'e'].slice(0, size), joint)
      const leader = world.elect()
      const rest = others(world, leader)
      const id = leader.change({ type: 'remove', id: leader.id })
      // The commit of the last configuration is told to nobody, and nobody is told to take over.
      world.filter = (from, _to, message) => {
        if (from !== leader.id) return true
        if (message.type === 'timeoutNow') return false
        return message.type !== 'appendEntries' || message.commit < leader.raft.log.last || leader.raft.log.last < 4
      }
      world.runUntil(() => leader.raft.status().removed)
      expect(leader.outcome(id)).toMatchObject({ type: 'committed' })
      expect(leader.role).toBe('follower')
      world.run(20_000)
      world.packets = []
      const now = rest.find(({ role }) => role === 'leader')!
      expect(now).toBeDefined()
      const after = now.propose('x')
      world.run(5000)
      expect(now.outcome(after)).toMatchObject({ type: 'committed' })
      for (const server of rest) expect([...server.applied.values()]).toEqual(['x'])
      expect(now.raft.status().config.members.map(({ id }) => id)).toEqual(rest.map(({ id }) => id).sort())
      expect(leader.deadline).toBeUndefined()
    },
  )

  test('B48: of two members the leader removes the other, and goes on alone (etcd-io/etcd#10563)', () => {
    const world = new World(['a', 'b'], joint)
    const leader = world.elect()
    const other = others(world, leader)[0]!
    leader.change({ type: 'remove', id: other.id })
    while (!leader.raft.status().configCommitted || roles(leader).includes('outgoing')) {
      if (leader.raft.status().config.members.length === 1) break
      world.deliverOne()
    }
    // The other never hears that it is out.
    world.filter = () => false
    world.packets = []
    world.run(5000)
    const id = leader.propose('x')
    world.run(5000)
    expect(leader.outcome(id)).toMatchObject({ type: 'committed' })
    world.heal()
    world.run(20_000)
    expect(world.leader).toBe(leader)
    expect(other.raft.status().removed).toBe(true)
  })

  test('B49: leadership goes to a promoted learner only once it holds its own promotion, and all else (databendlabs/openraft#1805)', () => {
    const world = new World(['a', 'b', 'c'], joint)
    const leader = world.elect()
    const learner = world.add('d')
    leader.change({ type: 'addLearner', ...newcomer(learner) })
    world.run(2000)
    leader.change({ type: 'promote', id: 'd' })
    // From the step that makes it a voter on, nothing reaches it.
    world.filter = (_from, to) => to !== 'd' || /d:(learner|joining)/.test(roles(leader))
    world.runUntil(() => roles(leader).includes('d:voter') && leader.raft.status().configCommitted)
    expect(roles(learner)).not.toContain('d:voter')
    const sent: string[] = []
    world.filter = (_from, to, message) => {
      if (message.type === 'timeoutNow') sent.push(`${learner.raft.log.last === leader.raft.log.last}`)
      return to !== 'd' || reachable
    }
    let reachable = false
    leader.do({ type: 'transfer', id: 900, to: 'd' })
    world.run(400)
    expect(sent).toEqual([])
    reachable = true
    world.run(3000)
    expect(sent).toEqual(['true'])
    expect(world.leader).toBe(learner)
    expect(leader.outcome(900)).toMatchObject({ type: 'transferred', to: 'd' })
  })

  test('B50: who never answers is not caught up, and its joining disturbs nobody (ratis RATIS-1912, RATIS-1960)', () => {
    const world = new World(['a', 'b', 'c'], { ...joint, limits: { catchUpEntries: 2 } })
    const leader = world.elect()
    const { term } = leader.raft.state
    for (let n = 0; n < 30; n++) leader.propose(`${n}`)
    world.run(200)
    const slow = world.add('d')
    slow.up = false
    leader.change({ type: 'addVoter', ...newcomer(slow) })
    world.run(20_000)
    expect(roles(leader)).toContain('d:joining')
    expect(world.leader).toBe(leader)
    expect(leader.raft.state.term).toBe(term)
    slow.up = true
    slow.take()
    world.run(3000)
    expect(roles(leader)).toContain('d:voter')
    expect(leader.raft.state.term).toBe(term)
    expect([...slow.applied.values()]).toEqual([...leader.applied.values()])
  })

  test('B50: wherever in a change the leader is lost, another one is elected and finishes it (ratis RATIS-1912)', () => {
    for (let delivered = 0; delivered < 40; delivered += 3) {
      const world = new World(['a', 'b', 'c'], joint)
      const leader = world.elect()
      const [d, gone] = [world.add('d'), others(world, leader)[0]!]
      leader.change({ type: 'replace', id: gone.id, with: newcomer(d) })
      for (let n = 0; n < delivered; n++) if (!world.deliverOne()) world.run(50)
      leader.crash()
      world.runUntil(() => world.leader !== undefined, 20_000)
      leader.restart()
      world.run(20_000)
      const now = world.leader!
      expect(roles(now)).not.toMatch(/incoming|outgoing|joining|leaving/)
      const id = now.propose('x')
      world.run(500)
      expect(now.outcome(id)).toMatchObject({ type: 'committed' })
    }
  })

  test('B51: a replica of a group that was founded anew under the same names leads and votes in neither (rabbitmq-server#12366)', () => {
    const before = new World(['a', 'b', 'c'])
    before.elect().propose('old')
    before.run(200)
    const ghost = before.server('c')
    const world = new World()
    world.nextId = 100
    const founders = ['a', 'b', 'c'].map((id) => ({ id, address: id }))
    for (const id of ['a', 'b']) world.add(id, founders)
    const third = world.add('c', founders)
    for (const server of world.servers.values()) server.take()
    const leader = world.elect()
    expect(leader.raft.state.genesis).not.toBe(ghost.raft.state.genesis)
    third.crash()
    const { term } = leader.raft.state
    const from = { id: 'c', incarnation: ghost.incarnation }
    const { genesis } = ghost.raft.state
    for (const server of world.servers.values()) {
      const told = { type: 'requestVote', term: 99, pre: false, ballot: 1, lastIndex: 99, lastTerm: 98 } as const
      server.do({ type: 'message', from, genesis, message: { ...told, transfer: true } })
      const records = { count: 0, records: [] }
      server.do({
        type: 'message',
        from,
        genesis,
        message: { type: 'appendEntries', term: 99, round: 1, prevIndex: 9, prevTerm: 9, commit: 9, ...records },
      })
    }
    expect(leader.role).toBe('leader')
    expect(leader.raft.state.term).toBe(term)
    expect(leader.happenings('ignored')).toMatchObject([
      { from: 'c', reason: 'it belongs to another cluster' },
      { from: 'c', reason: 'it belongs to another cluster' },
    ])
  })

  test('B51: an id that is used again under another incarnation is nobody: it makes no second quorum (openraft#2002)', () => {
    const world = new World(['a', 'b', 'c'], joint)
    const leader = world.elect()
    leader.propose('x')
    world.run(200)
    const [b, c] = others(world, leader)
    // Two of three disks are replaced; the two empty ones must not be a quorum of anything, though the network takes them for the old ones.
    world.wipe(b!.id)
    world.wipe(c!.id)
    const { send } = world
    world.send = (packet) => send.call(world, { ...packet, outgoing: { ...packet.outgoing, incarnation: '' } })
    leader.crash()
    world.run(20_000)
    expect(world.leader).toBeUndefined()
    leader.restart()
    leader.do({ type: 'campaign' })
    world.run(20_000)
    expect(world.leader).toBeUndefined()
    for (const { id } of [b!, c!]) expect(world.server(id).raft.state).toMatchObject({ genesis: '', vote: undefined })
  })
})
