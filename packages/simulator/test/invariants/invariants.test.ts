import { recordKind } from '@raftkit/bytes'
import type { Config } from '@raftkit/contract'
import type { ReplicatedMachine } from 'raftkit'
import { describe, expect, test } from 'vitest'
import { MemoryIsBounded } from '../../src/invariants/bounds.ts'
import * as commits from '../../src/invariants/commits.ts'
import * as configurations from '../../src/invariants/configurations.ts'
import * as durability from '../../src/invariants/durability.ts'
import * as elections from '../../src/invariants/elections.ts'
import { invariantNames, invariants, type Judge } from '../../src/invariants/index.ts'
import * as logs from '../../src/invariants/logs.ts'
import * as machine from '../../src/invariants/machine.ts'
import * as reads from '../../src/invariants/reads.ts'
import * as snapshots from '../../src/invariants/snapshots.ts'
import { breaks, encodeState as encode, encodeConfig, Scene } from './scene.ts'

/** Invariants that some test here saw fire. */
const fired = new Set<string>()

/** One lie, told in an otherwise healthy cluster that only this invariant watches. */
function lie(make: () => Judge, what: string, tell: (scene: Scene) => void): void {
  const { name } = make()
  test(`${name}: ${what}`, async () => {
    const scene = await Scene.with(make())
    breaks(name, () => tell(scene))
    fired.add(name)
  })
}

const leads = (scene: Scene, who = scene.follower): void => {
  scene.live(who).role = scene.live(scene.leader).role
}

describe('elections', () => {
  lie(
    () => new elections.ElectionSafety(),
    'a second server leads the term',
    (scene) => {
      leads(scene)
      scene.stepped(scene.follower)
    },
  )
  lie(
    () => new elections.ElectedByQuorum(),
    'a leader whom nobody elected',
    (scene) => {
      scene.claim(scene.follower, { term: 9, vote: scene.live(scene.follower).self })
      leads(scene)
      scene.stepped(scene.follower)
    },
  )
  lie(
    () => new elections.OneVote(),
    'it changes its mind',
    (scene) => {
      scene.claim(scene.follower, { vote: scene.live(scene.other).self })
      scene.stepped(scene.follower)
    },
  )
  lie(
    () => new elections.OneVote(),
    'it tells two candidates yes',
    (scene) => {
      const vote = { type: 'vote', term: 9, forTerm: 9, pre: false, ballot: 1, granted: true } as const
      scene.send(scene.follower, vote, scene.leader)
      scene.send(scene.follower, vote, scene.other)
    },
  )
  lie(
    () => new elections.OneVote(),
    'its disk holds a vote that it did not give before',
    (scene) => {
      scene.stores(scene.follower, { vote: 'n9/00' })
    },
  )
  lie(
    () => new elections.TermRises(),
    'a term is taken back',
    (scene) => {
      scene.claim(scene.follower, { term: 0 })
      scene.stepped(scene.follower)
    },
  )
  lie(
    () => new elections.TermRises(),
    'a disk forgets its term',
    (scene) => scene.stores(scene.follower, { term: 0 }),
  )
  lie(
    () => new elections.TermRises(),
    'a restart forgets the vote',
    (scene) => {
      scene.claim(scene.follower, { vote: scene.live(scene.other).self })
      scene.witness.booted(scene.follower)
    },
  )
  lie(
    () => new elections.PreVoteIsFree(),
    'a pre-vote raises the term',
    (scene) => {
      const message = {
        type: 'requestVote',
        term: 9,
        pre: true,
        ballot: 1,
        lastIndex: 99,
        lastTerm: 9,
        transfer: false,
      } as const
      const from = scene.live(scene.leader).self
      const event = { type: 'message', from, genesis: scene.view(scene.follower).genesis, message } as const
      scene.witness.stepping(scene.follower, event, 0)
      scene.claim(scene.follower, { term: 9 })
      scene.witness.stepped(scene.follower, event, 0)
    },
  )
  lie(
    () => new elections.Identity(),
    'a boot number comes again',
    (scene) => scene.witness.booted(scene.follower),
  )
  lie(
    () => new elections.Identity(),
    'another incarnation comes up on its disk',
    (scene) => {
      scene.claim(scene.follower, { incarnation: '00', boot: 9 })
      scene.witness.booted(scene.follower)
    },
  )
  lie(
    () => new elections.OneGenesis(),
    'a member of another cluster',
    (scene) => {
      scene.stores(scene.follower, { genesis: '00'.repeat(16) })
    },
  )
})

describe('before it is told', () => {
  const vote = { type: 'vote', term: 9, forTerm: 9, pre: false, ballot: 1, granted: true } as const
  lie(
    () => new durability.TermBeforeSend(),
    'a term that is not on the disk',
    (scene) => scene.send(scene.follower, vote),
  )
  lie(
    () => new durability.VoteBeforeSend(),
    'a vote that is not on the disk',
    (scene) => scene.send(scene.follower, vote),
  )
  lie(
    () => new durability.VoteBeforeSend(),
    'a candidate that has not written its own vote',
    (scene) => {
      const request = {
        type: 'requestVote',
        term: 9,
        pre: false,
        ballot: 1,
        lastIndex: 1,
        lastTerm: 1,
        transfer: false,
      } as const
      scene.send(scene.follower, request)
    },
  )
  lie(
    () => new durability.EntriesBeforeSend(),
    'an entry that is not on the disk',
    (scene) => {
      const { term } = scene.view(scene.follower)
      const last = scene.follower.disk.durable.last
      scene.send(scene.follower, { type: 'appended', term, round: 99, match: last + 1, received: last + 1 })
    },
  )
  lie(
    () => new durability.CommitSurvives(),
    'two of three disks lose the last entry, and one crashes',
    (scene) => {
      scene.loses(scene.follower)
      scene.loses(scene.other)
      scene.witness.crashed(scene.other, 'kill')
    },
  )
})

describe('logs', () => {
  lie(
    () => new logs.NoHole(),
    'a write leaves a hole',
    (scene) => {
      scene.appends(scene.follower, [{}], scene.view(scene.follower).memory.log.last + 2)
    },
  )
  lie(
    () => new logs.NoHole(),
    'a record that is not sound',
    (scene) => {
      const at = scene.view(scene.follower).memory.log.last + 1
      const run = scene.run(scene.follower, [{}], at)
      run.bytes[40]! ^= 1
      scene.writes(scene.follower, { tail: { at, run } })
    },
  )
  lie(
    () => new logs.NoHole(),
    'a disk drops what no snapshot holds',
    (scene) => {
      const durable = scene.follower.disk.durable as { first: number; records: Uint8Array[] }
      durable.first += durable.records.length
      durable.records.length = 0
      scene.witness.durable(scene.follower)
      scene.stores(scene.follower, { snapshot: undefined })
    },
  )
  lie(
    () => new logs.LogMatching(),
    'one index and term, two entries',
    (scene) => {
      const at = scene.view(scene.follower).memory.log.last
      scene.appends(scene.follower, [{ payload: new Uint8Array(9) }], at)
    },
  )
  lie(
    () => new logs.LogMatching(),
    'one entry behind two different ones',
    (scene) => {
      scene.appends(scene.leader, [{ term: 1 }, { term: 9 }])
      scene.appends(scene.follower, [{ term: 2 }, { term: 9 }])
    },
  )
  lie(
    () => new logs.LeaderAppendOnly(),
    'a leader writes its last entry again',
    (scene) => {
      scene.appends(scene.leader, [{}], scene.view(scene.leader).memory.log.last)
    },
  )
  lie(
    () => new logs.LeaderAppendOnly(),
    'a leader appends an entry of another term',
    (scene) => {
      scene.appends(scene.leader, [{ term: 1 }])
    },
  )
  lie(
    () => new logs.TermsAlongTheLog(),
    'a time stamp goes back',
    (scene) => scene.appends(scene.leader, [{ time: 1 }]),
  )
  lie(
    () => new logs.TermsAlongTheLog(),
    'an entry of a term to come',
    (scene) => scene.appends(scene.leader, [{ term: 9 }]),
  )
  lie(
    () => new logs.NothingUnwritten(),
    'a vote that is not handed out to be written',
    (scene) => {
      scene.claim(scene.follower, { vote: scene.live(scene.other).self })
      scene.took(scene.follower)
    },
  )
  lie(
    () => new logs.NothingUnwritten(),
    'a log that is longer than what was written',
    (scene) => {
      scene.live(scene.follower).log.last++
      scene.took(scene.follower)
    },
  )
  lie(
    () => new logs.WritesInOrder(),
    'a write of nobody',
    (scene) => {
      scene.witness.issued(scene.follower, { id: 1, change: { compactTo: 1 } })
    },
  )
  lie(
    () => new logs.WritesInOrder(),
    'a later write overtakes',
    (scene) => {
      scene.writes(scene.follower, { compactTo: 1 })
      scene.witness.issued(scene.follower, { id: 1000, change: { compactTo: 1 } })
    },
  )
  lie(
    () => new logs.CommittedStays(),
    'a process cuts a committed entry',
    (scene) => {
      scene.writes(scene.follower, { tail: { at: scene.frontier, run: { count: 0, bytes: new Uint8Array() } } })
    },
  )
  lie(
    () => new logs.CommittedStays(),
    'a disk loses a committed entry',
    (scene) => scene.loses(scene.follower),
  )
})

describe('commit', () => {
  /** The leader appends an entry that nobody else has, and takes it for committed. */
  const commitsAlone = (scene: Scene): void => {
    scene.appends(scene.leader, [{}])
    scene.live(scene.leader).commit++
    scene.took(scene.leader)
  }
  lie(() => new commits.CommittedByQuorum(), 'a leader commits what only it holds', commitsAlone)
  lie(
    () => new commits.CommitOwnTerm(),
    'a leader commits an entry of an older term',
    (scene) => {
      scene.appends(scene.leader, [{}])
      scene.claim(scene.leader, { term: 9 })
      scene.stepped(scene.leader)
      scene.live(scene.leader).commit++
      scene.took(scene.leader)
    },
  )
  lie(
    () => new commits.LeaderCompleteness(),
    'a leader that lacks a committed entry',
    (scene) => {
      scene.writes(scene.follower, { tail: { at: scene.frontier, run: { count: 0, bytes: new Uint8Array() } } })
      scene.claim(scene.follower, { term: 9 })
      leads(scene)
      scene.stepped(scene.follower)
    },
  )
  lie(
    () => new commits.LeaderCompleteness(),
    'a deposed leader commits what its successor lacks',
    (scene) => {
      scene.claim(scene.follower, { term: 9 })
      leads(scene)
      scene.witness.cluster.leaders.set(9, {
        view: scene.view(scene.follower),
        key: scene.view(scene.follower).key,
        boot: 1,
      })
      scene.stepped(scene.follower)
      commitsAlone(scene)
    },
  )
  lie(
    () => new commits.StateMachineSafety(),
    'another entry is taken for committed',
    (scene) => {
      scene.live(scene.follower).commit = scene.frontier - 1
      scene.took(scene.follower)
      scene.live(scene.follower).commit = scene.frontier
      scene.appends(scene.follower, [{ term: 9 }], scene.frontier)
    },
  )
  lie(
    () => new commits.CommitRises(),
    'commit goes back',
    (scene) => {
      scene.live(scene.follower).commit--
      scene.stepped(scene.follower)
    },
  )
  lie(
    () => new commits.CommitRises(),
    'commit passes the end of the log',
    (scene) => {
      scene.live(scene.follower).commit += 5
      scene.took(scene.follower)
    },
  )
  lie(
    () => new commits.CommitKnown(),
    'a follower commits by itself',
    (scene) => {
      scene.live(scene.follower).commit++
      scene.took(scene.follower)
    },
  )
  lie(
    () => new commits.AcknowledgedByLeader(),
    'a stale tail is acknowledged',
    (scene) => {
      const { term } = scene.view(scene.follower)
      scene.appends(scene.follower, [{ term: 1 }])
      const { last } = scene.view(scene.follower).memory.log
      scene.send(scene.follower, { type: 'appended', term, round: 99, match: last, received: last })
    },
  )
  lie(
    () => new commits.MatchIsTrue(),
    'a leader counts more than a peer holds',
    (scene) => {
      scene.appends(scene.leader, [{}])
      const { role } = scene.live(scene.leader)
      if (role.type === 'leader') for (const progress of role.progress.values()) progress.match++
      scene.took(scene.leader)
    },
  )
  const append = (scene: Scene, message: object): void => {
    const { term, commit, memory } = scene.view(scene.leader)
    const { last } = memory.log
    const whole = {
      type: 'appendEntries',
      term,
      round: 99,
      prevIndex: last,
      prevTerm: memory.log.termAt(last)!,
      commit,
      count: 0,
      records: [],
      ...message,
    } as const
    scene.took(scene.leader, { messages: [{ to: 'n9', incarnation: '', message: whole, lane: 'bulk', after: 0 }] })
  }
  lie(
    () => new commits.LeaderSaysItsLog(),
    'a term that does not stand before',
    (scene) => append(scene, { prevTerm: 77 }),
  )
  lie(
    () => new commits.LeaderSaysItsLog(),
    'a commit index of its own making',
    (scene) => append(scene, { commit: 1000 }),
  )
  lie(
    () => new commits.LeaderSaysItsLog(),
    'a term that another one leads',
    (scene) => append(scene, { term: 77 }),
  )
  lie(
    () => new commits.LeaderSaysItsLog(),
    'records that are not those of its log',
    (scene) => {
      const { last } = scene.view(scene.leader).memory.log
      const { bytes } = scene.run(scene.leader, [{}], last)
      append(scene, { prevIndex: last - 1, count: 1, records: [bytes] })
    },
  )
  test('an honest heartbeat breaks nothing', async () => append(await Scene.with(new commits.LeaderSaysItsLog()), {}))
})

describe('configurations', () => {
  const config = (scene: Scene, change: Partial<Config> = {}) => ({
    kind: recordKind.config,
    payload: encodeConfig({ format: 1, members: scene.members, ...change }),
  })
  lie(
    () => new configurations.ConfigIsRecomputed(),
    'a configuration outlives its entry',
    (scene) => {
      const { log } = scene.live(scene.follower)
      log.configs.push({ index: log.last, config: { format: 1, members: [] } })
      scene.took(scene.follower)
    },
  )
  lie(
    () => new configurations.OneChangeAtATime(),
    'two changes at once',
    (scene) => {
      scene.appends(scene.leader, [config(scene), config(scene)])
    },
  )
  lie(
    () => new configurations.ChangeAfterOwnCommit(),
    'a change before a commit of the own term',
    (scene) => {
      scene.claim(scene.leader, { term: 9 })
      scene.stepped(scene.leader)
      scene.appends(scene.leader, [config(scene)])
    },
  )
  lie(
    () => new configurations.NeighboursIntersect(),
    'two voters go and two come in one step',
    (scene) => {
      const [first, ...rest] = scene.members
      const members = [first!, ...rest.map((member) => ({ ...member, incarnation: '00' }))]
      scene.appends(scene.leader, [config(scene, { members })])
    },
  )
  lie(
    () => new configurations.OnlyListed(),
    'a leader counts a stranger',
    (scene) => {
      const { role } = scene.live(scene.leader)
      if (role.type === 'leader') role.progress.set('n9/00', [...role.progress.values()][0]!)
      scene.took(scene.leader)
    },
  )
})

describe('clients', () => {
  const read = { type: 'read', id: 999, consistency: 'linearizable' } as const
  lie(
    () => new reads.ReadIndexIsFresh(),
    'a read from before',
    (scene) => {
      scene.witness.stepping(scene.follower, read, 0)
      scene.took(scene.follower, { settled: [{ type: 'read', id: 999, index: scene.frontier - 1 }] })
    },
  )
  test('a read by a lease that has run out is not given, so it may be old', async () => {
    const scene = await Scene.with(new reads.ReadIndexIsFresh())
    scene.witness.stepping(scene.follower, read, 0)
    const { now } = scene.view(scene.follower)
    scene.took(scene.follower, { settled: [{ type: 'read', id: 999, index: 0, until: now }] })
    expect(scene.cluster.world.violation).toBeUndefined()
  })
  lie(
    () => new reads.LeaseIsSafe(),
    'another leader commits while a lease runs',
    (scene) => {
      const until = scene.view(scene.leader).now + 1000
      scene.took(scene.leader, { settled: [{ type: 'read', id: 999, index: scene.frontier, until }] })
      scene.claim(scene.follower, { term: 9 })
      leads(scene)
      scene.stepped(scene.follower)
      scene.appends(scene.follower, [{ term: 9 }])
      scene.live(scene.follower).commit = scene.frontier + 1
      scene.took(scene.follower)
    },
  )
  lie(
    () => new reads.OutcomesAreTrue(),
    'told committed, and another entry stands there',
    (scene) => {
      scene.witness.stepping(scene.leader, { type: 'propose', id: 999, data: new Uint8Array([7]), time: 0, seed: 0 }, 0)
      const { term } = scene.view(scene.leader)
      scene.took(scene.leader, { settled: [{ type: 'committed', id: 999, index: scene.frontier, term }] })
    },
  )
  lie(
    () => new reads.OutcomesAreTrue(),
    'told twice',
    (scene) => {
      scene.witness.stepping(scene.leader, read, 0)
      scene.took(scene.leader, { settled: [{ type: 'unknown', id: 999, reason: '' }] })
      scene.took(scene.leader, { settled: [{ type: 'unknown', id: 999, reason: '' }] })
    },
  )
})

describe('machines', () => {
  const stamp = { at: 0, group: 'main' } as const
  lie(
    () => new machine.AppliedInOrder(),
    'entries are left out',
    (scene) => {
      const { handed } = scene.live(scene.follower)
      scene.took(scene.follower, { apply: { from: handed + 2, to: handed + 2 } })
    },
  )
  lie(
    () => new machine.AppliedInOrder(),
    'entries are handed out before they are committed',
    (scene) => {
      const { handed } = scene.live(scene.follower)
      scene.took(scene.follower, { apply: { from: handed + 1, to: handed + 1 } })
    },
  )
  lie(
    () => new machine.AppliedInOrder(),
    'the machine goes back to a snapshot',
    (scene) => {
      const { snapshot } = scene.live(scene.follower).state
      scene.took(scene.follower, { asks: [{ type: 'restore', id: 1, snapshot: snapshot! }] })
    },
  )
  lie(
    () => new machine.AppliedInOrder(),
    'an entry is applied twice',
    (scene) => {
      scene.witness.told(scene.follower, {
        ...stamp,
        node: scene.follower.id,
        type: 'applied',
        from: scene.frontier,
        to: scene.frontier,
        milliseconds: 0,
      })
    },
  )
  const last = (scene: Scene) => {
    const { index, time, seed, payload } = scene.witness.cluster.committed.findLast(
      (entry) => entry?.kind === recordKind.command,
    )!
    return { index, time, seed, data: payload }
  }
  lie(
    () => new machine.AppliesTheLog(),
    'other bytes than those of the entry',
    (scene) => {
      scene.witness.booted(scene.follower)
      scene.witness.applied(scene.follower, [{ ...last(scene), data: new Uint8Array([1]) }], [new Uint8Array()])
    },
  )
  lie(
    () => new machine.AppliesTheLog(),
    'the same entry again',
    (scene) => {
      scene.witness.applied(scene.follower, [last(scene)], [new Uint8Array()])
    },
  )
  lie(
    () => new machine.ResultsAgree(),
    'another answer than on the other replicas',
    (scene) => {
      scene.witness.applied(scene.follower, [last(scene)], [new Uint8Array([9, 9])])
    },
  )
  lie(
    () => new machine.ResultsAgree(),
    'another state after equally much',
    (scene) => {
      const { applied } = scene.follower.machine as ReplicatedMachine
      scene.follower.machine = { applied, encode: () => new Uint8Array([1]) } as ReplicatedMachine
      scene.witness.ended(scene.cluster.world)
    },
  )
  lie(
    () => new machine.ExactlyOnce(),
    'a retry runs again',
    (scene) => {
      const data = new Uint8Array([1, 2, 5, 1, 0, 0])
      const command = { index: 1000, time: 0, seed: 0, data }
      scene.witness.applied(
        scene.follower,
        [command, { ...command, index: 1001 }],
        [new Uint8Array([0, 1]), new Uint8Array([0, 2])],
      )
    },
  )
  test('a retry that is answered as expired runs nothing', async () => {
    const scene = await Scene.with(new machine.ExactlyOnce())
    const command = { index: 1000, time: 0, seed: 0, data: new Uint8Array([1, 2, 5, 1, 0, 0]) }
    scene.witness.applied(
      scene.follower,
      [command, { ...command, index: 1001 }],
      [new Uint8Array([0, 1]), new Uint8Array([4])],
    )
    expect(scene.cluster.world.violation).toBeUndefined()
  })
})

describe('snapshots', () => {
  const named = (scene: Scene, change: object): Uint8Array => {
    const state = scene.view(scene.follower).memory.state!
    return encode({ ...state, snapshot: { ...state.snapshot!, name: 'other', ...change } })
  }
  lie(
    () => new snapshots.SnapshotOfCommitted(),
    'a snapshot of what is not committed',
    (scene) => {
      scene.writes(scene.follower, { state: named(scene, { index: scene.frontier + 1 }) })
    },
  )
  lie(
    () => new snapshots.SnapshotOfCommitted(),
    'a snapshot of another term',
    (scene) => {
      scene.writes(scene.follower, { state: named(scene, { term: 77 }) })
    },
  )
  lie(
    () => new snapshots.SnapshotOfCommitted(),
    'a snapshot with another configuration',
    (scene) => {
      scene.writes(scene.follower, { state: named(scene, { config: { format: 1, members: scene.members.slice(1) } }) })
    },
  )
  lie(
    () => new snapshots.SnapshotRises(),
    'an older snapshot takes its place',
    (scene) => {
      scene.writes(scene.follower, { state: named(scene, { index: 1 }) })
    },
  )
  lie(
    () => new snapshots.SnapshotRises(),
    'the disk forgets the snapshot',
    (scene) => {
      scene.stores(scene.follower, { snapshot: undefined })
    },
  )
  lie(
    () => new snapshots.SnapshotIsThere(),
    'its blob is gone',
    (scene) => {
      ;(scene.follower.disk.blobs as Map<string, unknown>).clear()
      scene.witness.durable(scene.follower)
    },
  )
  lie(
    () => new snapshots.SnapshotIsThere(),
    'its blob has another size',
    (scene) => {
      const { snapshot } = scene.view(scene.follower).disk.state!
      scene.stores(scene.follower, { snapshot: { ...snapshot!, bytes: 1 } })
    },
  )
  lie(
    () => new snapshots.SnapshotsAgree(),
    'another content at the same entry',
    (scene) => {
      const { snapshot } = scene.view(scene.follower).disk.state!
      ;(scene.follower.disk.blobs as Map<string, unknown>).set('other', {
        name: 'other',
        bytes: new Uint8Array(3),
        complete: true,
      })
      scene.stores(scene.follower, { snapshot: { ...snapshot!, name: 'other' } })
    },
  )
})

describe('bounds', () => {
  lie(
    () => new MemoryIsBounded(),
    'a window without end',
    (scene) => {
      const { role } = scene.live(scene.leader)
      if (role.type === 'leader')
        for (const progress of role.progress.values())
          progress.inflight = Array.from({ length: 9999 }, () => ({ last: 1, bytes: 0 }))
      scene.took(scene.leader)
    },
  )
  lie(
    () => new MemoryIsBounded(),
    'a count of bytes that is off',
    (scene) => {
      const { role } = scene.live(scene.leader)
      if (role.type === 'leader') for (const progress of role.progress.values()) progress.inflightBytes++
      for (let turn = 0; turn < 64; turn++) scene.took(scene.leader)
    },
  )
})

describe('all of them', () => {
  test('each was seen to fire', () => {
    expect([...fired].sort()).toEqual([...invariantNames].sort())
  })

  test('each has its own name, and says what it says and where it comes from', () => {
    const all = invariants()
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length)
    expect(all.length).toBeGreaterThanOrEqual(25)
    for (const { says, source } of all) {
      expect(says).toMatch(/^[A-Z].*\.$/)
      expect(source.length).toBeGreaterThan(5)
    }
  })
})
