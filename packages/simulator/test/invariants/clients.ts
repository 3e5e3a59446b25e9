import { recordKind } from '@raftkit/bytes'
import type { Config } from '@raftkit/contract'
import { describe } from 'vitest'
import * as configurations from '../../src/invariants/configurations.ts'
import { LeaseIsEarned, ReadIsConfirmed } from '../../src/invariants/confirmation.ts'
import * as reads from '../../src/invariants/reads.ts'
import { leads, lie, truth } from './lie.ts'
import { encodeConfig, type Scene } from './scene.ts'

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
  truth(
    () => new reads.ReadIndexIsFresh(),
    'an old answer by a lease that has run out, which is not given',
    (scene) => {
      scene.witness.stepping(scene.follower, read, 0)
      const { now } = scene.view(scene.follower)
      scene.took(scene.follower, { settled: [{ type: 'read', id: 999, index: 0, until: now }] })
    },
  )
  const echo = (scene: Scene, round: number): void => {
    const { term, key } = scene.view(scene.follower)
    const [id, incarnation] = key.split('/') as [string, string]
    const message = { type: 'appended', term, round, match: 0, received: 0 } as const
    scene.witness.stepping(scene.leader, { type: 'message', from: { id, incarnation }, genesis: '', message }, 0)
  }
  const emits = (scene: Scene, round: number): void => {
    const { term } = scene.view(scene.leader)
    const message = {
      type: 'appendEntries',
      term,
      round,
      prevIndex: 0,
      prevTerm: 0,
      commit: 0,
      count: 0,
      records: [],
    } as const
    scene.took(scene.leader, { messages: [{ to: 'n9', incarnation: '', message, lane: 'control', after: 0 }] })
  }
  const answers = (scene: Scene): void => {
    scene.took(scene.leader, { settled: [{ type: 'read', id: 999, index: scene.frontier }] })
  }
  lie(
    () => new ReadIsConfirmed(),
    'an echo of a round from before the read',
    (scene) => {
      emits(scene, 1e6)
      scene.witness.stepping(scene.leader, read, 0)
      emits(scene, 1e6 + 1)
      echo(scene, 1e6)
      answers(scene)
    },
  )
  lie(
    () => new ReadIsConfirmed(),
    'a leader that has committed nothing yet',
    (scene) => {
      scene.claim(scene.leader, { term: 9 })
      scene.live(scene.leader).role = scene.live(scene.follower).role
      scene.stepped(scene.leader)
      scene.live(scene.leader).role = { type: 'leader' } as never
      scene.stepped(scene.leader)
      scene.witness.stepping(scene.leader, read, 0)
      answers(scene)
    },
  )
  lie(
    () => new ReadIsConfirmed(),
    'a read that another server asked for',
    (scene) => {
      const [id, incarnation] = scene.view(scene.follower).key.split('/') as [string, string]
      const message = { type: 'readIndex', id: 77 } as const
      scene.witness.stepping(scene.leader, { type: 'message', from: { id, incarnation }, genesis: '', message }, 0)
      const answer = { type: 'readIndexResult', id: 77, index: scene.frontier } as const
      scene.took(scene.leader, { messages: [{ to: id, incarnation, message: answer, lane: 'control', after: 0 }] })
    },
  )
  truth(
    () => new ReadIsConfirmed(),
    'a question that comes twice, answered for when it came first',
    (scene) => {
      const [id, incarnation] = scene.view(scene.follower).key.split('/') as [string, string]
      const message = { type: 'readIndex', id: 77 } as const
      const asks = (): void =>
        scene.witness.stepping(scene.leader, { type: 'message', from: { id, incarnation }, genesis: '', message }, 0)
      asks()
      emits(scene, 1e6)
      echo(scene, 1e6)
      asks()
      const answer = { type: 'readIndexResult', id: 77, index: scene.frontier } as const
      scene.took(scene.leader, { messages: [{ to: id, incarnation, message: answer, lane: 'control', after: 0 }] })
    },
  )
  truth(
    () => new ReadIsConfirmed(),
    'an echo of a round after the read',
    (scene) => {
      scene.witness.stepping(scene.leader, read, 0)
      emits(scene, 1e6)
      echo(scene, 1e6)
      answers(scene)
    },
  )
  const leases = (scene: Scene, ahead: number): void => {
    const until = scene.leader.protocol!.now + ahead
    scene.took(scene.leader, { settled: [{ type: 'read', id: 999, index: scene.frontier, until }] })
  }
  lie(
    () => new LeaseIsEarned(),
    'a lease that is too long',
    (scene) => leases(scene, 1001),
  )
  lie(
    () => new LeaseIsEarned(),
    'a lease while leadership is handed over',
    (scene) => {
      const message = { type: 'timeoutNow', term: scene.view(scene.leader).term } as const
      scene.took(scene.leader, { messages: [{ to: 'n9', incarnation: '', message, lane: 'control', after: 0 }] })
      leases(scene, 1)
    },
  )
  truth(
    () => new LeaseIsEarned(),
    'a lease from the newest round that a quorum echoed',
    (scene) => {
      emits(scene, 1e6)
      echo(scene, 1e6)
      leases(scene, 999)
    },
  )
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
