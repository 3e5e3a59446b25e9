import { recordKind } from '@raftkit/bytes'
import type { Config, Index, Member, Sender, Standing } from '@raftkit/contract'
import { isRaftkitError, isVoter, RaftkitError } from '@raftkit/contract'
import { configFormat, encodeConfig } from './config-encoding.ts'
import { memberKey, Progress } from './progress.ts'
import type { Raft } from './raft.ts'
import { type Leader, sameSender } from './role.ts'

/** A configuration and where it stands in the log; index 0: there is none yet. */
export interface ConfigView {
  readonly index: Index
  readonly config: Config
}

const none: ConfigView = { index: 0, config: { format: configFormat, members: [] } }

/**
 * The configuration that log and snapshot say was in force at `index` (design rule 4): the last one in the log up to there, else
 * the snapshot's. Nothing else remembers a configuration, so a truncation or a snapshot cannot leave a stale one behind.
 */
export function configAt(raft: Raft, index: Index): ConfigView {
  const { snapshot } = raft.state
  for (let at = raft.log.configs.length - 1; at >= 0; at--) {
    const entry = raft.log.configs[at]!
    if (entry.index <= index && entry.index > (snapshot?.configIndex ?? 0)) return entry
  }
  return snapshot === undefined ? none : { index: snapshot.configIndex, config: snapshot.config }
}

/** In force as soon as it is in the log, committed or not (thesis §4.1). */
export const effectiveConfig = (raft: Raft): ConfigView => configAt(raft, raft.log.last)

export const configBefore = (raft: Raft, index: Index): ConfigView => configAt(raft, index - 1)

export function memberOf(config: Config, sender: Sender): Member | undefined {
  for (const member of config.members) if (sameSender(member, sender)) return member
  return undefined
}

/** What the membership policy may know of a member: only a leader knows anything. */
export function standing(raft: Raft, leader: Leader): Standing {
  const reachable = (member: Member): boolean => {
    if (sameSender(member, raft.self)) return true
    const progress = leader.progressOf(member)
    return progress !== undefined && !progress.amnesic && raft.now - progress.contact < raft.settings.electionTimeout
  }
  return {
    reachable,
    caughtUp: (member) => {
      if (!reachable(member)) return false
      if (sameSender(member, raft.self)) return true
      const progress = leader.progressOf(member)!
      return progress.state === 'replicate' && progress.match + raft.settings.catchUpEntries >= raft.log.last
    },
  }
}

/** Begins a change of membership. Throws the reason if it may not begin. */
export function beginChange(raft: Raft, leader: Leader, request: unknown, time: number): Index {
  const { index, config } = effectiveConfig(raft)
  // Without a commit of its own term, two leaders could each work from a configuration the other does not see (Ongaro, raft-dev 2015).
  if (raft.commit < leader.noop) {
    throw new RaftkitError(
      'NOT_READY',
      'the leader has not committed an entry of its term yet; try again in a moment',
      {
        outcome: 'refused',
        retryable: true,
      },
    )
  }
  if (index > raft.commit) {
    throw new RaftkitError(
      'CHANGE_IN_FLIGHT',
      'another membership change is being committed; try again when it is done',
      {
        outcome: 'refused',
        retryable: true,
      },
    )
  }
  return appendConfig(raft, leader, raft.membership.begin(config, request, standing(raft, leader)), time)
}

/** What a committed configuration leads to by itself; whichever leader is there does it (thesis §4.3). */
export function continueChange(raft: Raft, leader: Leader): void {
  const { index, config } = effectiveConfig(raft)
  if (index > raft.commit || raft.commit < leader.noop || leader.transfer !== undefined) return
  const next = raft.membership.next(config, standing(raft, leader))
  if (next !== undefined) appendConfig(raft, leader, next, raft.log.lastTime)
}

function appendConfig(raft: Raft, leader: Leader, config: Config, time: number): Index {
  const index = raft.log.append({
    kind: recordKind.config,
    term: raft.state.term,
    time: Math.max(Math.floor(time), raft.log.lastTime),
    seed: 0,
    payload: encodeConfig(config),
  })
  raft.happen({ type: 'configuration', config, index, committed: false })
  followConfig(raft, leader)
  return index
}

/** Keeps one progress for each member of the configuration in force; one that comes again begins anew. */
export function followConfig(raft: Raft, leader: Leader): void {
  const { members } = effectiveConfig(raft).config
  const keys = new Set(members.map(memberKey))
  for (const key of leader.progress.keys()) if (!keys.has(key)) leader.progress.delete(key)
  for (const member of members) {
    const key = memberKey(member)
    if (sameSender(member, raft.self)) continue
    const known = leader.progress.get(key)
    if (known !== undefined) known.member = member
    else leader.progress.set(key, new Progress(member, raft.log.last + 1, leader.round, raft.now))
  }
}

/** A leader outside the committed configuration has nothing more to lead (thesis §4.2.2). */
export function isDismissed(raft: Raft): boolean {
  const { index, config } = effectiveConfig(raft)
  if (index > raft.commit) return false
  const self = memberOf(config, raft.self)
  return self === undefined || !isVoter(self)
}

/** Code and sentence of what a membership policy threw. */
export function refusalOf(error: unknown): { code: string; reason: string } {
  if (isRaftkitError(error)) return { code: error.code, reason: error.message }
  return { code: 'REFUSED', reason: error instanceof Error ? error.message : String(error) }
}
