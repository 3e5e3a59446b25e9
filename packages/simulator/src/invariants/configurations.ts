import type { Config, Effects } from '@raftkit/contract'
import type { Message } from '@raftkit/core'
import { keyOf, sameConfig, shown } from './encoding.ts'
import { Invariant, type Written } from './invariant.ts'
import { disjointQuorums } from './quorum.ts'
import type { View } from './view.ts'

export class ConfigIsRecomputed extends Invariant {
  readonly name = 'the configuration is what the log says'
  readonly says =
    'The configuration in force is the last one in the log, committed or not, else that of the snapshot: after appends, truncations, snapshots and restarts.'
  readonly source = 'thesis §4.1; design rule 4; hazards M3, M4, M6'
  readonly #checked = new Map<View, Config>()

  booted(view: View): void {
    this.#checked.delete(view)
  }

  took(view: View, effects: Effects<Message>): void {
    const { index, config } = view.memory.config
    const { raft } = view
    // The cheap look, each time; the whole comparison when anything it rests on may have changed.
    const newest = raft.log.configs[raft.log.configs.length - 1]
    const snapshotIndex = raft.state.snapshot?.configIndex ?? 0
    const theirs = newest !== undefined && newest.index > snapshotIndex ? newest.index : snapshotIndex
    if (theirs === index && effects.write === undefined && this.#checked.get(view) === config) return
    if (theirs === index && this.#checked.get(view) === config && effects.write?.change.state === undefined) return
    const status = raft.status()
    if (status.configIndex !== index || !sameConfig(status.config, config))
      this.broken(
        `${view.key} goes by the configuration of ${status.configIndex}; log and snapshot say that of ${index}`,
        {
          inForce: shown(status.config),
          recomputed: shown(config),
        },
      )
    this.#checked.set(view, config)
  }
}

export class OneChangeAtATime extends Invariant {
  readonly name = 'one change at a time'
  readonly says = 'A leader appends a configuration only when the one before it is committed.'
  readonly source = 'thesis §4.1, §4.3; hazard M14'

  wrote(view: View, { added }: Written): void {
    if (view.role !== 'leader') return
    for (const { index, config } of added) {
      if (config === undefined) continue
      const before = view.memory.configAt(index - 1)
      if (before.index > view.commit)
        this.broken(`${view.key} appends a configuration at ${index}; that of ${before.index} is not committed yet`)
    }
  }
}

export class ChangeAfterOwnCommit extends Invariant {
  readonly name = 'a change begins on committed ground'
  readonly says = 'A leader appends a configuration only when it has committed an entry of its own term.'
  readonly source = 'Ongaro, raft-dev 2015 (bug in single-server changes); thesis §4.1; hazard M1'

  wrote(view: View, { added }: Written): void {
    if (view.role !== 'leader') return
    for (const { index, term, config } of added) {
      if (config === undefined || term !== view.term) continue
      const committed = view.memory.log.termAt(view.commit)
      if (committed !== undefined && committed >= 0 && committed !== view.term)
        this.broken(
          `${view.key} appends a configuration at ${index} in term ${term}; its commit ${view.commit} is of term ${committed}`,
        )
    }
  }
}

export class NeighboursIntersect extends Invariant {
  readonly name = 'neighbouring configurations intersect'
  readonly says =
    'Any quorum of a configuration and any quorum of the one before it in the log have a member in common.'
  readonly source = 'Raft paper §6; thesis §4.1, §4.3; hazard M2'
  readonly #checked = new WeakMap<Config, WeakSet<Config>>()

  wrote(view: View, { added }: Written): void {
    for (const { index, config } of added) {
      if (config === undefined) continue
      const before = view.memory.configAt(index - 1)
      if (before.index === 0) continue
      let known = this.#checked.get(before.config)
      if (known === undefined) {
        known = new WeakSet()
        this.#checked.set(before.config, known)
      }
      if (known.has(config)) continue
      known.add(config)
      const apart = disjointQuorums(before.config, config)
      if (apart !== undefined)
        this.broken(
          `the configuration of ${index} could decide by ${apart[1].join(', ')}, while that of ${before.index} decides by ${apart[0].join(', ')}`,
          {
            before: shown(before.config),
            after: shown(config),
          },
        )
    }
  }
}

export class OnlyListed extends Invariant {
  readonly name = 'only the listed are counted'
  readonly says =
    'A leader keeps progress, and a candidate votes, only for members of its configuration under exactly their incarnation.'
  readonly source = 'design rule 6; thesis §4.1; hazards M13, M16'
  readonly #keys = new WeakMap<Config, Set<string>>()

  took(view: View): void {
    const { role } = view.raft
    if (role.type === 'follower') return
    const { config } = view.memory.config
    let keys = this.#keys.get(config)
    if (keys === undefined) {
      keys = new Set(config.members.map((member) => keyOf(member)))
      this.#keys.set(config, keys)
    }
    const listed = (key: string): boolean => keys.has(key)
    if (role.type === 'leader') {
      for (const key of role.progress.keys())
        if (!listed(key)) this.broken(`${view.key} keeps count of ${key}, which its configuration does not list`)
    } else {
      for (const key of role.granted)
        if (key !== view.key && !listed(key))
          this.broken(`${view.key} counts the vote of ${key}, which its configuration does not list`)
    }
  }
}
