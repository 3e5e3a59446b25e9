import { recordKind } from '@raftkit/bytes'
import type { ReplicatedMachine } from 'raftkit'
import { describe } from 'vitest'
import { MemoryIsBounded } from '../../src/invariants/bounds.ts'
import * as machine from '../../src/invariants/machine.ts'
import * as snapshots from '../../src/invariants/snapshots.ts'
import { lie, truth } from './lie.ts'
import { encodeState as encode, type Scene } from './scene.ts'

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
    const { index, time, seed, payload } = scene.witness.cluster.committed
      .filter((entry) => entry?.kind === recordKind.command)
      .at(-1)!
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
  truth(
    () => new machine.ExactlyOnce(),
    'a retry is answered as expired',
    (scene) => {
      const command = { index: 1000, time: 0, seed: 0, data: new Uint8Array([1, 2, 5, 1, 0, 0]) }
      scene.witness.applied(
        scene.follower,
        [command, { ...command, index: 1001 }],
        [new Uint8Array([0, 1]), new Uint8Array([4])],
      )
    },
  )
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
