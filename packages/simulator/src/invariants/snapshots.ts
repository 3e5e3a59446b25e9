import { crc32 } from 'node:zlib'
import type { Index } from '@raftkit/contract'
import { keyOf, type SnapshotSeen, sameConfig, shown } from './encoding.ts'
import { Invariant, type LogChange, type Written } from './invariant.ts'
import type { View } from './view.ts'

export class SnapshotOfCommitted extends Invariant {
  readonly name = 'a snapshot is of what is committed'
  readonly says =
    'The snapshot in force ends at a committed entry and names its term, and the configuration committed at or before it.'
  readonly source = 'Raft paper §7; thesis §5.1; hazards M5, S1'

  wrote(view: View, { stateChanged, before }: Written): void {
    const snapshot = view.memory.state?.snapshot
    if (!stateChanged || snapshot === undefined || snapshot.name === before?.snapshot?.name) return
    const { cluster } = this
    const who = `the snapshot of ${view.key}`
    const entry = cluster.committed[snapshot.index]
    if (entry === undefined)
      this.broken(`${who} ends at ${snapshot.index}; leaders have committed up to ${cluster.frontier}`)
    if (entry.term !== snapshot.term)
      this.broken(
        `${who} ends at ${snapshot.index} with term ${snapshot.term}; the entry there is of term ${entry.term}`,
      )
    const config = cluster.configAt(snapshot.index)
    if (config === undefined || config.index !== snapshot.configIndex || !sameConfig(config.config, snapshot.config))
      this.broken(
        `${who} at ${snapshot.index} holds the configuration of ${snapshot.configIndex}; in force there is that of ${config?.index}`,
        {
          snapshot: shown(snapshot.config),
          recomputed: config && shown(config.config),
        },
      )
  }
}

export class SnapshotRises extends Invariant {
  readonly name = 'snapshots only go forward'
  readonly says = 'The snapshot in force, in memory and on disk, is never replaced by an older one.'
  readonly source = 'Raft paper §7; hazards S2, S10'

  wrote(view: View, { before, stateChanged }: Written): void {
    if (stateChanged) this.#check(view.key, before?.snapshot, view.memory.state?.snapshot)
  }

  stored(view: View, { before, stateChanged }: LogChange): void {
    const { state } = view.disk
    if (stateChanged && state !== undefined && before?.incarnation === state.incarnation)
      this.#check(`the disk of ${keyOf(state)}`, before.snapshot, state.snapshot)
  }

  #check(who: string, before: SnapshotSeen | undefined, after: SnapshotSeen | undefined): void {
    if (before !== undefined && (after === undefined || after.index < before.index))
      this.broken(
        `${who} goes from the snapshot at ${before.index} back to ${after === undefined ? 'none' : after.index}`,
      )
  }
}

export class SnapshotIsThere extends Invariant {
  readonly name = 'the snapshot in force is there'
  readonly says = 'A disk that names a snapshot holds it, complete and of the size that is named.'
  readonly source = 'design rule 3; hazard S4'

  stored(view: View): void {
    const { disk, server } = view
    const snapshot = disk.state?.snapshot
    if (snapshot === undefined || server.disk.damaged) return
    const blob = server.disk.blobs.get(snapshot.name)
    if (blob === undefined || !blob.complete)
      this.broken(
        `the disk of ${keyOf(disk.state!)} names the snapshot ${snapshot.name}, and holds ${blob === undefined ? 'none of it' : 'a part of it'}`,
      )
    if (blob.bytes.length !== snapshot.bytes)
      this.broken(
        `the disk of ${keyOf(disk.state!)} holds ${blob.bytes.length} bytes of the snapshot ${snapshot.name}; it has ${snapshot.bytes}`,
      )
  }
}

export class SnapshotsAgree extends Invariant {
  readonly name = 'snapshots of one index are equal'
  readonly says = 'Two snapshots that end at the same entry hold the same bytes, whoever took them.'
  readonly source = 'Raft paper §7; hazards S3, S8, R19'
  readonly #sums = new Map<Index, { readonly sum: number; readonly who: string }>()

  stored(view: View, { before, stateChanged }: LogChange): void {
    const { disk, server } = view
    const snapshot = disk.state?.snapshot
    if (!stateChanged || snapshot === undefined || snapshot.name === before?.snapshot?.name || server.disk.damaged)
      return
    const blob = server.disk.blobs.get(snapshot.name)
    if (blob === undefined) return
    const who = keyOf(disk.state!)
    const sum = crc32(blob.bytes)
    const known = this.#sums.get(snapshot.index)
    if (known === undefined) this.#sums.set(snapshot.index, { sum, who })
    else if (known.sum !== sum)
      this.broken(`the snapshots of ${who} and ${known.who} both end at ${snapshot.index}, and differ`)
  }
}
