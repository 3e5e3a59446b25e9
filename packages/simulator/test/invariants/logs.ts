import { describe } from 'vitest'
import * as logs from '../../src/invariants/logs.ts'
import { lie, truth } from './lie.ts'

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
      const durable = scene.follower.disk.durable as unknown as { first: number; records: Uint8Array[] }
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
  // Seed 288 of 20,000 events.
  truth(
    () => new logs.CommittedStays(),
    'a disk is damaged where its process compacts already, and the power fails before',
    (scene) => {
      const { disk } = scene.follower
      scene.writes(scene.follower, { compactTo: scene.view(scene.follower).memory.log.last })
      const records = disk.durable.records as Uint8Array[]
      records[records.length - 1] = records[0]!
      disk.damaged = true
      scene.witness.durable(scene.follower)
    },
  )
})
