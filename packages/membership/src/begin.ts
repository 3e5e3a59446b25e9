import { type Config, type ErrorCode, type Member, type NodeId, RaftkitError, type Standing } from '@raftkit/contract'
import { enterJoint, isJoint, isPlanned, isQuorum, votes } from './joint.ts'
import {
  isEqual,
  isSame,
  listed,
  ofId,
  withAddress,
  withMembers,
  withNewcomer,
  without,
  withRole,
  withRoles,
} from './members.ts'
import { checkRequest, type MembershipRequest, type Newcomer } from './request.ts'

/** The configuration to append for a request. Throws the reason if there is none. */
export function begin(config: Config, value: unknown, standing: Standing): Config {
  const request = checkRequest(value)
  if (isJoint(config)) throw inFlight('the change before this one is being finished; try again in a moment')
  const begun = changed(config, request)
  if (isEqual(begun, config)) throw refused('REFUSED', 'the members are like that already')
  const joint = isPlanned(begun) ? enterJoint(begun, () => true) : begun
  if (!isJoint(joint) || voters(begun) === voters(config)) return begun
  if (!joint.members.some(({ role }) => role === 'voter' || role === 'incoming'))
    throw refused('REFUSED', 'no voter would be left; add another one first, or replace this one')
  if (!('force' in request && request.force)) requireQuorum(joint, standing)
  return begun
}

function changed(config: Config, request: MembershipRequest): Config {
  switch (request.type) {
    case 'addVoter':
      return addVoter(config, request)
    case 'addLearner':
      return addLearner(config, request)
    case 'promote':
      return promote(config, named(config, request.id))
    case 'demote':
      return demote(config, named(config, request.id))
    case 'remove':
    case 'removeVoter':
      return remove(config, named(config, request.id), request.type)
    case 'replace':
      return replace(config, named(config, request.id), request.with)
    case 'setAddress':
      return setAddress(config, named(config, request.id).id, request.address)
    case 'change':
      return change(config, request.voters, request.learners ?? [])
  }
}

function addVoter(config: Config, newcomer: Newcomer): Config {
  requireSameIncarnation(config, newcomer)
  const known = listed(config, newcomer)
  return promote(config, { ...newcomer, role: known?.role ?? 'learner' } as Member)
}

function addLearner(config: Config, newcomer: Newcomer): Config {
  requireSameIncarnation(config, newcomer)
  const known = listed(config, newcomer)
  if (known?.role === 'learner') throw alreadyIs(known)
  if (known !== undefined) throw alreadyIs(known, `{ type: 'demote' } makes it a learner`)
  return withNewcomer(config, newcomer, 'learner')
}

function promote(config: Config, member: Member): Config {
  requireNoPlan(config)
  if (member.role !== 'learner') throw alreadyIs(member)
  return withNewcomer(config, member, 'joining')
}

function demote(config: Config, member: Member): Config {
  if (member.role === 'learner') throw alreadyIs(member)
  if (member.role === 'joining' && ofId(config, member.id).length > 1)
    throw refused('REFUSED', `${member.id} is joining in its own place; { type: 'remove' } calls that off`)
  if (member.role === 'joining') return withRole(callOff(config), member, 'learner')
  requireNoPlan(config)
  return withRole(config, member, 'demoted')
}

function remove(config: Config, member: Member, type: 'remove' | 'removeVoter'): Config {
  if (member.role === 'joining') return without(callOff(config), member)
  if (member.role === 'learner') {
    if (type === 'removeVoter') throw alreadyIs(member, `{ type: 'remove' } removes it`)
    return without(config, member)
  }
  requireNoPlan(config)
  return withRole(config, member, 'outgoing')
}

function replace(config: Config, old: Member, newcomer: Newcomer): Config {
  requireNoPlan(config)
  if (newcomer.id !== old.id) requireSameIncarnation(config, newcomer)
  const known = listed(config, newcomer)
  if (old.role === 'voter') {
    if (known !== undefined && votes(known)) throw alreadyIs(known)
    const other = config.members.find((member) => member.role === 'joining' && member !== known)
    if (other !== undefined) throw inFlight(`${other.id} is still joining; wait for it, or remove it`)
    return withNewcomer(withRole(config, old, 'leaving'), newcomer, 'joining')
  }
  if (known !== undefined) throw alreadyIs(known, `{ type: 'remove' } removes ${old.id}`)
  return without(withNewcomer(config, newcomer, old.role), old)
}

/** Whichever incarnation answers there. */
function setAddress(config: Config, id: NodeId, address: string | undefined): Config {
  const moved = config.members.map((member) => (member.id === id ? withAddress(member, address) : member))
  return withMembers(config, moved)
}

/** Also the way to change one's mind: in a simple configuration, nothing that is planned has happened yet. */
function change(config: Config, voters: readonly (NodeId | Newcomer)[], learners: readonly (NodeId | Newcomer)[]) {
  if (voters.length === 0) throw refused('REFUSED', 'no voter would be left; name at least one')
  const voting = voters.map((voter) => resolve(config, voter))
  const learning = learners.map((learner) => resolve(config, learner))
  const isIn = (list: readonly Newcomer[], member: Member): boolean => list.some((each) => isSame(each, member))

  let planned = config
  for (const newcomer of voting)
    planned = withNewcomer(planned, newcomer, votes(listed(config, newcomer)) ? 'voter' : 'joining')
  for (const newcomer of learning)
    planned = withNewcomer(planned, newcomer, votes(listed(config, newcomer)) ? 'retiring' : 'learner')
  planned = withRoles(planned, (member) => {
    if (isIn(voting, member) || isIn(learning, member)) return member.role
    return votes(member) ? 'leaving' : undefined
  })
  const isWaiting = planned.members.some(({ role }) => role === 'joining')
  return isWaiting ? planned : enterJoint(planned, () => false)
}

function resolve(config: Config, who: NodeId | Newcomer): Newcomer {
  if (typeof who !== 'string') return who
  if (ofId(config, who).length > 1)
    throw refused('REFUSED', `${who} is listed under two incarnations; name the one you mean by { id, incarnation }`)
  return named(config, who)
}

/** The member of that id; of two, the one that comes in the other's place. */
function named(config: Config, id: NodeId): Member {
  const members = ofId(config, id)
  const member = members.find((each) => !votes(each)) ?? members[0]
  if (member !== undefined) return member
  throw refused('NOT_A_MEMBER', `${id} is not listed; the members are ${ids(config.members)}`)
}

/** Those that were to go stay; those that were to come for them are learners, and one that was to come in its own place is gone. */
function callOff(config: Config): Config {
  if (!isPlanned(config)) return config
  return withRoles(config, (member) => {
    if (votes(member)) return 'voter'
    return ofId(config, member.id).some(votes) ? undefined : 'learner'
  })
}

function requireNoPlan(config: Config): void {
  if (!isPlanned(config)) return
  const joining = ids(config.members.filter(({ role }) => role === 'joining'))
  throw inFlight(`a replacement waits until ${joining} caught up; wait too, or remove who is joining to call it off`)
}

function requireSameIncarnation(config: Config, { id, incarnation }: Newcomer): void {
  const others = ofId(config, id)
  if (others.length > 0 && !others.some((member) => member.incarnation === incarnation))
    throw refused(
      'REFUSED',
      `${id} is listed under another incarnation, which may still vote; use { type: 'replace', id: '${id}', with: … }`,
    )
}

/**
 * What comes after the joint configuration needs a majority of its new half: entering without one would stop the cluster (raft-rs #192).
 * Who is to come in is not asked: `next` enters only once it has caught up.
 */
function requireQuorum(joint: Config, standing: Standing): void {
  const isReachable = (member: Member): boolean => member.role === 'incoming' || standing.reachable(member)
  if (isQuorum(joint, isReachable)) return
  const missing = ids(joint.members.filter((member) => votes(member) && !isReachable(member)))
  throw new RaftkitError(
    'WOULD_LOSE_QUORUM',
    `${missing} cannot be reached, and the other voters would be no quorum; start them first, or pass force: true`,
    { outcome: 'refused', retryable: true },
  )
}

function alreadyIs({ id, role }: Member, advice?: string): RaftkitError {
  return refused('REFUSED', `${id} is listed as ${role} already${advice === undefined ? '' : `; ${advice}`}`)
}

const voters = (config: Config): string =>
  config.members
    .filter(votes)
    .map(({ id, incarnation, role }) => `${id}@${incarnation}:${role}`)
    .join()

const ids = (members: readonly Member[]): string => members.map(({ id }) => id).join(', ')

function inFlight(why: string): RaftkitError {
  return new RaftkitError('CHANGE_IN_FLIGHT', why, { outcome: 'refused', retryable: true })
}

function refused(code: ErrorCode, sentence: string): RaftkitError {
  return new RaftkitError(code, sentence, { outcome: 'refused' })
}
