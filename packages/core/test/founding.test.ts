import { describe, expect, test } from 'vitest'
import { raft } from '../src/index.ts'
import { joint, members } from './script.ts'
import { World } from './world.ts'

describe('design rule 6: founding', () => {
  test('all founders found the same cluster, once all are up', () => {
    const world = new World(['a', 'b', 'c'])
    world.server('c').crash()
    world.run(5000)
    expect(world.server('a').raft.status()).toMatchObject({ genesis: '', last: 0, term: 0 })
    world.server('c').up = true
    world.elect()
    const geneses = new Set([...world.servers.values()].map(({ raft: { state } }) => state.genesis))
    expect(geneses).toEqual(new Set([expect.stringMatching(/^[0-9a-f]{32}$/)]))
    for (const server of world.servers.values()) {
      expect(server.raft.log.termAt(1)).toBe(1)
      expect(members(server)).toBe('a:voter b:voter c:voter')
      expect(server.happenings('founded')).toHaveLength(1)
    }
  })

  // Found by the simulator (seed 62 of 5,000 events): seven founders waited for ever.
  test('who founds and crashes before anybody hears of it tells it after the restart', () => {
    const world = new World(['a', 'b', 'c'])
    const a = world.server('a')
    world.filter = (from, _to, message) =>
      !(from === 'a' && message.type === 'found' && message.founders.every(({ incarnation }) => incarnation !== ''))
    world.runUntil(() => a.raft.state.genesis !== '')
    expect(world.server('b').raft.state.genesis).toBe('')
    expect(world.server('c').raft.state.genesis).toBe('')
    a.restart()
    world.filter = () => true
    world.elect()
    const geneses = new Set([...world.servers.values()].map(({ raft: { state } }) => state.genesis))
    expect(geneses).toEqual(new Set([a.raft.state.genesis]))
  })

  // Found by the simulator (seeds 339 and 1009 of 3,000 events): founders whose lists differed filled the network with them.
  test('founders that know different parts of the list tell each other at intervals, not without pause', () => {
    const world = new World(['a', 'b', 'c'])
    world.packets.length = 0
    let told = 0
    world.filter = (from, to, message) => {
      const between = from !== 'c' && to !== 'c'
      if (between && message.type === 'found') told++
      // c is heard by a alone, and hears nobody.
      return between || (from === 'c' && to === 'a')
    }
    world.run(1000)
    expect(world.server('a').raft.founding!.founders.map(({ incarnation }) => incarnation)).not.toContain('')
    expect(told).toBeLessThan(40)
    world.filter = () => true
    world.elect()
  })

  test('the first configuration names incarnations, not names alone', () => {
    const world = new World(['a', 'b'])
    world.elect()
    expect(
      world
        .server('a')
        .raft.status()
        .config.members.map(({ incarnation }) => incarnation),
    ).toEqual([world.server('a').incarnation, world.server('b').incarnation])
  })

  test('the same names under other incarnations are another cluster, and the two refuse each other', () => {
    const one = new World(['a', 'b'])
    const two = new World(['b', 'a'])
    one.elect()
    two.elect()
    const { genesis } = one.server('a').raft.state
    expect(two.server('a').raft.state.genesis).not.toBe(genesis)
    const b = two.server('b')
    const before = b.raft.state
    b.do({
      type: 'message',
      from: { id: 'a', incarnation: one.server('a').incarnation },
      genesis,
      message: {
        type: 'appendEntries',
        term: 99,
        round: 1,
        prevIndex: 0,
        prevTerm: 0,
        commit: 0,
        count: 0,
        records: [],
      },
    })
    expect(b.raft.state).toEqual(before)
    expect(b.happenings('ignored')).toMatchObject([{ reason: 'it belongs to another cluster' }])
  })

  test('founders with different lists found nothing, and say why', () => {
    const world = new World()
    world
      .add('a', [
        { id: 'a', address: 'a' },
        { id: 'b', address: 'b' },
      ])
      .take()
    world
      .add('b', [
        { id: 'b', address: 'b' },
        { id: 'c', address: 'c' },
        { id: 'a', address: 'a' },
      ])
      .take()
    world.run(2000)
    for (const server of world.servers.values()) {
      expect(server.raft.status().genesis).toBe('')
      expect(server.happenings('ignored')[0]!.reason).toContain('give every founder the same list')
    }
  })

  test('a founder that was wiped in between founds with the others all the same, under its new incarnation', () => {
    const world = new World(['a', 'b', 'c'])
    world.deliverOne()
    world.deliverOne()
    world.packets = []
    const founders = ['a', 'b', 'c'].map((id) => ({ id, address: id }))
    const b = world.add('b', founders)
    b.take()
    const leader = world.elect()
    expect(leader.raft.status().config.members.map(({ incarnation }) => incarnation)).toContain(b.incarnation)
  })

  test('it survives loss of any message: whoever missed the last word asks again', () => {
    for (let lost = 0; lost < 12; lost++) {
      const world = new World(['a', 'b', 'c'])
      let sent = 0
      world.filter = (_, __, { type }) => type !== 'found' || sent++ !== lost
      world.elect()
      expect(new Set([...world.servers.values()].map(({ raft: { state } }) => state.genesis)).size).toBe(1)
    }
  })

  test('a founder that crashes while it founds comes back to the same cluster', () => {
    const world = new World(['a', 'b', 'c'])
    const c = world.server('c')
    c.autoFlush = false
    world.runUntil(() => c.raft.state.genesis !== '')
    expect(c.held.every(({ after }) => after > 0)).toBe(true)
    c.autoFlush = true
    c.flush()
    c.restart()
    world.elect()
    expect(c.raft.state.genesis).toBe(world.server('a').raft.state.genesis)
  })

  test('an empty server without founders waits, and joins the cluster whose leader writes to it', () => {
    const world = new World(['a', 'b', 'c'], { membership: joint() })
    const a = world.elect()
    const d = world.add('d')
    d.take()
    world.run(5000)
    expect(d.raft.status()).toMatchObject({ genesis: '', term: 0, role: 'follower' })
    expect(d.deadline).toBeUndefined()
    a.change({ type: 'addLearner', id: 'd', incarnation: d.incarnation, address: 'd' })
    world.run(1000)
    expect(d.raft.state.genesis).toBe(a.raft.state.genesis)
    expect(d.raft.log.last).toBe(a.raft.log.last)
  })

  test('a list that names a founder twice, or not this server, is refused', () => {
    const open = (founders: readonly { id: string }[]) =>
      raft
        .open({
          id: 'a',
          cluster: 'test',
          group: 'main',
          incarnation: '1'.repeat(32),
          founders,
          found: { first: 1, last: 0 },
          seed: 1,
          maxMessageBytes: 65536,
        })
        .start(0)
    const refused = expect.objectContaining({ code: 'INVALID_OPTION' })
    expect(() => open([{ id: 'a' }, { id: 'b' }, { id: 'b' }])).toThrowError(refused)
    expect(() => open([{ id: 'b' }, { id: 'c' }])).toThrowError(refused)
    expect(() => open([{ id: 'a' }])).not.toThrow()
  })
})
