import { isVoter, type Sender, type Term } from '@raftkit/contract'
import { type ConfigView, configBefore, effectiveConfig, memberOf } from './configuration.ts'
import { startLeading, stopLeading } from './leading.ts'
import type { RequestVote, TimeoutNow, Vote } from './messages.ts'
import { memberKey } from './progress.ts'
import type { Raft } from './raft.ts'
import { Candidate, Follower, type Leader, sameSender } from './role.ts'

/** A new random deadline between one and two election timeouts (§5.2: randomized timeouts make split votes rare). */
export function resetElectionTimer(raft: Raft): void {
  raft.electionDeadline = raft.now + raft.settings.electionTimeout * (1 + raft.random.next())
}

/** The election timeout has passed without a leader: ask whether an election could be won (PreVote, thesis §9.6). */
export function onElectionTimeout(raft: Raft): void {
  resetElectionTimer(raft)
  if (!mayStand(raft)) return
  // The own vote could not become durable, and the request would never leave.
  if (raft.isDiskStalled) return
  preCampaign(raft, 'heard no leader for an election timeout')
}

/**
 * A voter of the configuration in force; or of the one before, while the newest is not known to be committed: a server that is
 * about to be removed may be the only one whose log lets it win (thesis §4.2.2).
 */
export function mayStand(raft: Raft): boolean {
  if (raft.removed) return false
  const newest = effectiveConfig(raft)
  if (votesIn(newest, raft.self)) return true
  return newest.index > raft.commit && votesIn(configBefore(raft, newest.index), raft.self)
}

function votesIn({ config }: ConfigView, self: Sender): boolean {
  const member = memberOf(config, self)
  return member !== undefined && isVoter(member)
}

function preCampaign(raft: Raft, reason: string): void {
  raft.setLeader(undefined)
  stand(raft, new Candidate('preCandidate', ++raft.ballot), reason, false)
}

/** Stand for election in a new term (§5.2). The term and the vote for oneself are durable before anyone hears of it. */
export function campaign(raft: Raft, reason: string, transfer = false): void {
  raft.enterTerm(raft.state.term + 1, raft.self)
  raft.setLeader(undefined)
  stand(raft, new Candidate('candidate', ++raft.ballot), reason, transfer)
}

function stand(raft: Raft, role: Candidate, reason: string, transfer: boolean): void {
  raft.become(role, reason)
  resetElectionTimer(raft)
  const pre = role.type === 'preCandidate'
  const { term } = raft.state
  const { last, lastTerm } = raft.log
  for (const member of effectiveConfig(raft).config.members) {
    if (!isVoter(member) || sameSender(member, raft.self)) continue
    raft.send(member, {
      type: 'requestVote',
      term: pre ? term + 1 : term,
      pre,
      ballot: role.ballot,
      lastIndex: last,
      lastTerm,
      transfer,
    })
  }
  // A pre-vote promises nothing; a vote counts once it is durable, one's own like any other.
  if (pre) role.granted.add(memberKey(raft.self))
  countVotes(raft)
}

/** The own vote, as soon as it is durable. */
export function onDurableVote(raft: Raft): void {
  if (raft.role.type !== 'candidate' || !raft.writes.isPromiseDurable) return
  raft.role.granted.add(memberKey(raft.self))
  countVotes(raft)
}

/** §5.2, §5.4.1: one vote per term, for a log at least as up-to-date as the own. */
export function onRequestVote(raft: Raft, from: Sender, message: RequestVote): void {
  const { pre, ballot } = message
  const upToDate = raft.log.isUpToDate(message.lastIndex, message.lastTerm)
  if (!upToDate && isOutside(raft, from))
    return raft.send(from, { type: 'removed', index: effectiveConfig(raft).index })
  const answer = (granted: boolean, reason: string): void => {
    raft.happen({ type: 'vote', to: from.id, term: message.term, granted, pre, reason })
    raft.send(from, { type: 'vote', term: raft.state.term, forTerm: message.term, pre, ballot, granted })
  }
  // Whoever hears from a leader is not led astray by a server that does not (thesis §4.2.3, §6.4.1); nor does it learn a term from it.
  if (!message.transfer && hearsLeader(raft)) return answer(false, 'a leader was heard within the election timeout')
  if (message.term < raft.state.term) return answer(false, 'its term is old')
  if (pre) {
    const free = message.term > raft.state.term || raft.state.vote === undefined || sameSender(raft.state.vote, from)
    return answer(
      free && upToDate,
      upToDate ? (free ? 'its log is up-to-date' : 'voted for another') : 'its log is behind',
    )
  }
  if (message.term > raft.state.term) becomeFollower(raft, message.term, undefined, 'a candidate has a higher term')
  if (raft.state.vote !== undefined && !sameSender(raft.state.vote, from)) return answer(false, 'voted for another')
  if (!upToDate) return answer(false, 'its log is behind')
  if (raft.state.vote === undefined) raft.enterTerm(raft.state.term, from)
  resetElectionTimer(raft)
  answer(true, 'its log is up-to-date')
}

function hearsLeader(raft: Raft): boolean {
  return raft.role.type === 'leader' || raft.now - raft.heardLeader < raft.settings.electionTimeout
}

/**
 * Not listed in a configuration that is known to be committed. With an older log, it was removed and shall learn that (thesis §4.2.3);
 * with a newer one, it may be this server that missed the change.
 */
function isOutside(raft: Raft, from: Sender): boolean {
  const newest = effectiveConfig(raft)
  if (newest.index === 0 || newest.index > raft.commit) return false
  return memberOf(newest.config, from) === undefined
}

export function onVote(raft: Raft, from: Sender, message: Vote): void {
  if (message.term > raft.state.term) {
    // A refusal teaches the term: without it, servers of different terms refuse each other for ever (etcd-io/etcd#8243).
    return becomeFollower(raft, message.term, undefined, `${from.id} answered with a higher term`)
  }
  const { role } = raft
  if (role.type !== 'preCandidate' && role.type !== 'candidate') return
  const pre = role.type === 'preCandidate'
  // A vote counts for exactly the term and the attempt that asked for it.
  if (message.pre !== pre || message.ballot !== role.ballot || message.forTerm !== raft.state.term + (pre ? 1 : 0))
    return
  if (memberOf(effectiveConfig(raft).config, from) === undefined) return
  const key = memberKey(from)
  if (message.granted) role.granted.add(key)
  else role.refused.add(key)
  countVotes(raft)
}

function countVotes(raft: Raft): void {
  const { role } = raft
  if (role.type !== 'preCandidate' && role.type !== 'candidate') return
  const { config } = effectiveConfig(raft)
  const { isQuorum } = raft.membership
  if (isQuorum(config, (member) => role.granted.has(memberKey(member)))) {
    if (role.type === 'preCandidate') campaign(raft, 'a quorum would vote for it')
    else startLeading(raft)
  } else if (!isQuorum(config, (member) => !role.refused.has(memberKey(member)))) {
    raft.become(new Follower(raft.commit), 'a quorum cannot be had any more')
  }
}

/** The leader hands leadership over (thesis §3.10): no pre-vote, and voters do not wait for its silence. */
export function onTimeoutNow(raft: Raft, from: Sender, message: TimeoutNow): void {
  if (message.term !== raft.state.term || !sameSender(raft.leader, from) || !mayStand(raft)) return
  campaign(raft, `${from.id} hands leadership over`, true)
}

/** §5.1: a server that sees a higher term, or a leader of its own, follows. */
export function becomeFollower(raft: Raft, term: Term, leader: Sender | undefined, reason: string): void {
  if (raft.role.type === 'leader') stopLeading(raft, reason)
  if (term > raft.state.term) raft.enterTerm(term, undefined)
  raft.become(new Follower(raft.commit), reason)
  raft.setLeader(leader)
}

export const isLeader = (raft: Raft): raft is Raft & { role: Leader } => raft.role.type === 'leader'
