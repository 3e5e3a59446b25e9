import { recordKind } from '@raftkit/bytes'
import type { Config } from '@raftkit/contract'
import { describe } from 'vitest'
import * as configurations from '../../src/invariants/configurations.ts'
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
