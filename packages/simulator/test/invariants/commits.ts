import { describe } from 'vitest'
import * as commits from '../../src/invariants/commits.ts'
import { leads, lie, truth } from './lie.ts'
import type { Scene } from './scene.ts'

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
  truth(
    () => new commits.MatchIsTrue(),
    'a deposed leader hears of what was overwritten since',
    (scene) => {
      scene.appends(scene.leader, [{}])
      for (const peer of [scene.follower, scene.other]) scene.stores(peer, { term: 9 })
      const { role } = scene.live(scene.leader)
      if (role.type === 'leader') for (const progress of role.progress.values()) progress.match++
      scene.took(scene.leader)
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
  truth(
    () => new commits.LeaderSaysItsLog(),
    'an honest heartbeat',
    (scene) => append(scene, {}),
  )
})
