import { describe, expect, test } from 'vitest'
import { type Message, type Raft, raft } from '../src/index.ts'
import { ask, entries, joint, only, said, silence, tell, trio } from './script.ts'
import { type Server, World } from './world.ts'

const init = (server: Server) => ({
  id: server.id,
  address: server.id,
  cluster: 'test',
  group: 'main',
  incarnation: server.incarnation,
  found: server.disk.found,
  seed: 1,
  maxMessageBytes: 1024 * 1024,
})
const code = (expected: string) => expect.objectContaining({ code: expected })

function load(server: Server, records: readonly Uint8Array[], change: Partial<ReturnType<typeof init>> = {}): Raft {
  const opening = raft.open({ ...init(server), ...change })
  for (const bytes of records) opening.load({ count: 1, bytes })
  return opening.start(0) as Raft
}

describe('Figure 2: persistent state', () => {
  test('remembers its term and its vote', () => {
    const stage = trio()
    silence(stage)
    const { world, a, b, c } = stage
    expect(only(tell(b, c, ask(c, 3)), 'vote').granted).toBe(true)
    b.restart()
    world.now += 5000
    expect(b.raft.state).toMatchObject({ term: 3, vote: { id: 'c', incarnation: c.incarnation } })
    expect(only(tell(b, a, ask(a, 3)), 'vote').granted).toBe(false)
  })

  test('remembers the entries it acknowledged', () => {
    const { a, b } = trio()
    expect(only(tell(b, a, entries(b, 2, 2, [2, 2])), 'appended').match).toBe(4)
    expect(b.disk.found.last).toBe(4)
    b.restart()
    expect(b.terms).toBe('1:1 2:2 3:2 4:2')
  })

  test('remembers the entries it placed as leader', () => {
    const { a } = trio()
    a.propose('x')
    expect(a.disk.found.last).toBe(3)
    a.restart()
    expect(a.terms).toBe('1:1 2:2 3:2')
  })

  test('forgets what it was told of commits, and learns it again', () => {
    const { world, a } = trio()
    a.propose('x')
    world.run(100)
    a.restart()
    expect(a.raft.commit).toBe(0)
    world.run(4000)
    expect([...a.applied.values()]).toEqual(['x'])
  })

  test('raises its boot number with every start, and nothing leaves before that is durable', () => {
    const stage = trio()
    const { world, b } = stage
    expect(b.raft.status().boot).toBe(1)
    b.autoFlush = false
    b.restart()
    expect(b.raft.status().boot).toBe(2)
    world.now += 2500
    said(b)
    b.do({ type: 'time' })
    expect(said(b)).toEqual([])
    b.flush()
    expect(said(b, 'requestVote')).toHaveLength(2)
  })

  test('a whole cluster that loses power goes on with all that was acknowledged', () => {
    const { world, a } = trio()
    const id = a.propose('x')
    world.run(100)
    expect(a.outcome(id)).toMatchObject({ type: 'committed' })
    for (const server of world.servers.values()) server.restart()
    world.packets = []
    const leader = world.elect()
    expect([...leader.applied.values()]).toEqual(['x'])
  })

  test('what the disk had not finished is gone, and was never promised', () => {
    const { a, b } = trio()
    b.autoFlush = false
    tell(b, a, entries(b, 2, 2, [2]))
    b.restart()
    expect(b.terms).toBe('1:1 2:2')
  })
})

describe('damage is refused at the start, with what to do', () => {
  test('a log that ends before its snapshot, or begins behind it', () => {
    const { world, a } = trio({ limits: { trailingEntries: 0 } })
    a.propose('x')
    world.run(100)
    a.snapshot()
    const { state } = a.disk.found
    expect(() => raft.open({ ...init(a), found: { state: state!, first: 1, last: 2 } })).toThrowError(code('DAMAGED'))
    expect(() => raft.open({ ...init(a), found: { state: state!, first: 6, last: 8 } })).toThrowError(code('DAMAGED'))
    expect(() => load(a, a.disk.durable.records)).not.toThrow()
  })

  test('a log without its state, or without its beginning', () => {
    const { a } = trio()
    const { first, last } = a.disk.found
    expect(() => raft.open({ ...init(a), found: { first, last } })).toThrowError(code('DAMAGED'))
    expect(() => raft.open({ ...init(a), found: { ...a.disk.found, first: 2 } })).toThrowError(code('DAMAGED'))
  })

  test('fewer records than the disk said', () => {
    const { a } = trio()
    expect(() => load(a, a.disk.durable.records.slice(0, 1))).toThrowError(code('DAMAGED'))
  })

  test('a record that was altered, that stands in another’s place, or that belongs to another cluster', () => {
    const { a } = trio()
    const [first, second] = a.disk.durable.records as [Uint8Array, Uint8Array]
    const altered = second.slice()
    altered[20]! ^= 1
    expect(() => load(a, [first, altered])).toThrowError(code('DAMAGED'))
    expect(() => load(a, [second, first])).toThrowError(code('DAMAGED'))
    const other = new World(['a', 'b', 'c', 'd'])
    other.elect()
    expect(() => load(a, [first, other.server('a').disk.durable.records[1]!])).toThrowError(code('DAMAGED'))
  })

  test('a state that was altered', () => {
    const { a } = trio()
    const { state, first, last } = a.disk.found
    expect(() => raft.open({ ...init(a), found: { state: state!.slice(0, -1), first, last } })).toThrowError(
      code('DAMAGED'),
    )
    // Behind the format and four texts: it could not rise any more.
    const lastBoot = state!.slice()
    const view = new DataView(lastBoot.buffer)
    let bootAt = 1
    for (let texts = 0; texts < 4; texts++) bootAt += 4 + view.getUint32(bootAt, true)
    view.setBigUint64(bootAt, BigInt(Number.MAX_SAFE_INTEGER), true)
    expect(() => raft.open({ ...init(a), found: { state: lastBoot, first, last } })).toThrowError(code('DAMAGED'))
    const newer = state!.slice()
    newer[0] = 99
    expect(() => raft.open({ ...init(a), found: { state: newer, first, last } })).toThrowError(code('UNKNOWN_FORMAT'))
  })

  test('the data of another node, cluster or group', () => {
    const { a } = trio()
    for (const change of [{ id: 'b' }, { cluster: 'other' }, { group: 'other' }])
      expect(() => raft.open({ ...init(a), ...change })).toThrowError(code('REFUSED'))
  })
})

describe('options', () => {
  test('an option that cannot be is refused by name', () => {
    const { a } = trio()
    const refused: [object, string][] = [
      [{ timing: { electionTimeout: 100, heartbeatInterval: 60 } }, 'timing.heartbeatInterval'],
      [{ timing: { electionTimeout: Number.NaN } }, 'timing.electionTimeout'],
      [{ timing: { leaseDrift: 0.6 } }, 'timing.leaseDrift'],
      [{ limits: { inflightMessages: 0 } }, 'limits.inflightMessages'],
      [{ maxMessageBytes: 100 }, 'maxMessageBytes'],
    ]
    for (const [change, name] of refused)
      expect(() => raft.open({ ...init(a), ...change }), name).toThrowError(
        expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(name) }),
      )
    const fresh = { ...init(a), incarnation: 'short', found: { first: 1, last: 0 } }
    expect(() => raft.open(fresh)).toThrowError(code('INVALID_OPTION'))
  })
})

describe('fork and digest', () => {
  test('a fork behaves alike, and shares nothing', () => {
    const { world, a, b } = trio({ limits: { inflightMessages: 3 } })
    for (let n = 0; n < 6; n++) a.propose(`${n}`)
    const before = a.raft.digest()
    const fork = a.raft.fork()
    expect(fork.digest()).toEqual(before)
    const lines: Message[] = []
    world.filter = (from, _, message) => {
      if (from === 'a') lines.push(message)
      return true
    }
    world.run(500)
    expect(a.raft.digest()).not.toEqual(before)
    expect(fork.digest()).toEqual(before)
    // The same story told to the fork.
    const twin = new World(['a', 'b', 'c'])
    const event = {
      type: 'message' as const,
      from: { id: 'b', incarnation: b.incarnation },
      genesis: fork.state.genesis,
      message: { type: 'appended' as const, term: 2, round: 4, match: 3, received: 3 },
    }
    const second = fork.fork()
    const told = [fork, second].map((one) => {
      one.step(event, twin.now + 1000)
      const { messages, apply, settled, happened, deadline } = one.take(twin.now + 1000)
      return { messages, apply, settled, happened, deadline }
    })
    expect(told[1]).toEqual(told[0])
    expect(fork.digest()).toEqual(second.digest())
  })

  test('equal states have equal digests, whenever and however they came about', () => {
    const one = trio()
    const two = trio()
    two.world.now += 7
    expect(two.b.raft.digest()).toEqual(one.b.raft.digest())
    one.a.propose('x')
    one.world.settle()
    expect(one.b.raft.digest()).not.toEqual(two.b.raft.digest())
    two.a.propose('x')
    two.world.settle()
    expect(one.b.raft.digest()).toEqual(two.b.raft.digest())
  })

  test('a candidate’s votes, renamed, are the same votes', () => {
    const incarnation = '0'.repeat(32)
    const stage = trio({ membership: joint(), incarnation })
    silence(stage)
    const { a, b, c } = stage
    const [one, two] = [b.raft.fork(), b.raft.fork()]
    for (const [server, voter] of [
      [one, a],
      [two, c],
    ] as const) {
      server.step({ type: 'campaign' }, 6000)
      server.take(6000)
      const { term, ballot } = { term: server.state.term, ballot: server.ballot }
      const message = { type: 'vote' as const, term, forTerm: term, pre: false, ballot, granted: false }
      const from = { id: voter.id, incarnation }
      server.step({ type: 'message', from, genesis: server.state.genesis, message }, 6000)
    }
    const swap = (id: string): string => (id === 'a' ? 'c' : id === 'c' ? 'a' : id)
    expect(one.digest(swap)).toEqual(two.digest((id) => id))
  })
})
