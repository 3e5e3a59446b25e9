// @ts-check
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: lines of sources are quoted
import { plant } from './plant.mjs'

const countVotes = /** @type {const} */ ([
  'election',
  'if (isQuorum(config, (member) => role.granted.has(memberKey(member)))) {',
  'if (role.granted.size * 2 > config.members.filter(isVoter).length) {',
])
const upToDate = 'return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.last)'

export const votes = [
  plant(
    'vote-of-another-attempt',
    'E1',
    'a vote that was given in an earlier term, or for an earlier attempt, counts in this one',
    'Xraft#1',
    [
      'election',
      'if (message.pre !== pre || message.ballot !== role.ballot || message.forTerm !== raft.state.term + (pre ? 1 : 0))\n    return',
      'if (message.pre !== pre) return',
    ],
  ),
  plant(
    'message-before-persist',
    'E2, B1',
    'requests for votes and votes leave before term and vote are durable',
    'sofa-jraft#1245, nodedb#161, skiff',
    ['raft', 'const after = this.writes.isPromiseDurable ? 0 : this.writes.promise', 'const after = 0'],
  ),
  plant(
    'outbox-does-not-wait',
    'E2, B1',
    'the runtime sends at once what must wait for a write',
    'sofa-jraft#1241 (its family)',
    [
      'raftkit/outbox',
      'for (const message of messages) (message.after <= this.#durable ? ready : waiting).push(message)',
      'for (const message of messages) ready.push(message)',
    ],
  ),
  plant(
    'own-vote-before-persist',
    'E2, B4',
    'a candidate counts its own vote before its disk has it',
    'openraft a9f696a9 (its kind)',
    ['election', 'if (pre) role.granted.add(memberKey(raft.self))', 'role.granted.add(memberKey(raft.self))'],
  ),
  plant(
    'vote-in-memory',
    'E3',
    'the term is durable, the vote of that term is not',
    '@unrdf/consensus, sofa-jraft#1241',
    ['durable', ".text(state.vote?.id ?? '')", ".text('')"],
  ),
  plant('vote-expires', 'E3', 'the vote of a term is forgotten after a while', '@usex/raft (one hour in Redis)', [
    'election',
    'resetElectionTimer(raft)\n  if (!mayStand(raft)) return',
    'resetElectionTimer(raft)\n  raft.state = { ...raft.state, vote: undefined }\n  if (!mayStand(raft)) return',
  ]),
  plant(
    'failed-write-is-success',
    'E4, B2',
    'a write that failed is taken for one that is durable',
    'sofa-jraft#96, #1243',
    [
      'raftkit/replica',
      '() => this.#written(id),\n      (error) => this.fail(storageFailure(error)),',
      '() => this.#written(id),\n      () => this.#written(id),',
    ],
  ),
  plant(
    'lost-state-is-term-0',
    'E5',
    'a log without its state, or above its state’s term, is opened as if nothing were missing',
    'sofa-jraft (found by TLC), LevelDB’s lost tail',
    ['opening', 'if (found.state === undefined && found.last >= found.first)', 'if (false)'],
    [
      'opening',
      'log.check(run.bytes, run.count, log.last + 1, log.termAt(log.last) ?? 0, state.term)',
      'log.check(run.bytes, run.count, log.last + 1, log.termAt(log.last) ?? 0, Number.MAX_SAFE_INTEGER)',
    ],
  ),
  plant(
    'no-pre-vote',
    'E6',
    'a server that was cut off raises its term again and again, and deposes the leader when it is back',
    'every Raft without PreVote (thesis §9.6)',
    [
      'election',
      "preCampaign(raft, 'heard no leader for an election timeout')",
      "campaign(raft, 'heard no leader for an election timeout')",
    ],
    ['election', 'if (!message.transfer && hearsLeader(raft)) return', 'if (false) return'],
  ),
  plant(
    'no-check-quorum',
    'E8',
    'a leader that hears nobody leads on',
    'vanilla Raft; Cloudflare’s outage of 2020-11-02',
    ['leading', 'if (!isQuorum(effectiveConfig(raft).config, reachable))', 'if (false)'],
  ),
  plant(
    'refusal-teaches-no-term',
    'E9, B11',
    'a refused pre-vote does not teach the higher term: servers of different terms refuse each other for ever',
    'etcd#8243, openraft#1796, canonical/raft#279',
    [
      'election',
      'if (message.term > raft.state.term) {\n    // A refusal',
      'if (message.term > raft.state.term && !message.pre) {\n    // A refusal',
    ],
  ),
  plant(
    'pre-candidate-keeps-its-leader',
    'E10, B12',
    'who stands still believes in the leader that is gone, and refuses others for it',
    'raft-rs#84',
    [
      'election',
      "raft.setLeader(undefined)\n  stand(raft, new Candidate('preCandidate'",
      "stand(raft, new Candidate('preCandidate'",
    ],
    [
      'election',
      "return raft.role.type === 'leader' || raft.now - raft.heardLeader < raft.settings.electionTimeout",
      "return raft.role.type === 'leader' || raft.leader !== undefined",
    ],
  ),
  plant('pre-vote-ignores-the-log', 'E11', 'a pre-vote is granted to a log that is behind', 'NuRaft PR 134', [
    'election',
    'free && upToDate,',
    'free,',
  ]),
  plant('candidate-ignores-pre-votes', 'E12', 'a candidate does not answer pre-votes', 'rabbitmq/ra#439, #442', [
    'election',
    'if (pre) {\n    const free',
    "if (pre && raft.role.type === 'candidate') return\n  if (pre) {\n    const free",
  ]),
  plant(
    'late-pre-vote-stands',
    'E13, B14',
    'an old pre-vote that comes late makes a sitting leader stand',
    'openraft 511f33c7',
    [
      'election',
      "if (role.type !== 'preCandidate' && role.type !== 'candidate') return\n  const pre = ",
      "if (role.type === 'leader' && message.pre && message.granted) return campaign(raft, 'a pre-vote came')\n  if (role.type !== 'preCandidate' && role.type !== 'candidate') return\n  const pre = ",
    ],
  ),
  plant('pre-vote-raises-the-term', 'E14', 'who answers a pre-vote enters its term', 'rabbitmq/ra PR 608', [
    'election',
    'if (pre) {\n    const free',
    'if (pre && message.term > raft.state.term) raft.enterTerm(message.term, undefined)\n  if (pre) {\n    const free',
  ]),
  plant('pre-vote-resets-the-vote', 'B12', 'a pre-vote forgets the real vote', 'canonical/raft#196', [
    'election',
    'if (pre) {\n    const free',
    'if (pre) {\n    raft.enterTerm(raft.state.term, undefined)\n    const free',
  ]),
  plant(
    'higher-term-stored-as-vote',
    'B10',
    'a higher term in a refusal is stored as a vote for who refused',
    'openraft b06cbb37',
    [
      'election',
      'return becomeFollower(raft, message.term, undefined, `${from.id} answered with a higher term`)',
      'becomeFollower(raft, message.term, undefined, `${from.id} answered with a higher term`)\n    return raft.enterTerm(message.term, from)',
    ],
  ),
  plant('synchronised-timers', 'E16, B63', 'election timeouts are not random', 'openraft#1959 (5e15946d)', [
    'election',
    'raft.electionDeadline = raft.now + raft.settings.electionTimeout * (1 + raft.random.next())',
    'raft.electionDeadline = raft.now + raft.settings.electionTimeout * 1.5',
  ]),
  plant(
    'vote-refused-only-if-both-are-behind',
    'R-votes',
    'a candidate with a shorter log, or an older last term, still gets the vote',
    'liferaft',
    ['log', upToDate, 'return lastTerm >= this.lastTerm || lastIndex >= this.last'],
  ),
  plant('vote-by-index', 'R-votes', 'votes compare the last index alone', 'skiff', [
    'log',
    upToDate,
    'return lastIndex >= this.last',
  ]),
  plant('vote-by-term', 'R-votes', 'votes compare the last term alone', 'kanaka/raft.js', [
    'log',
    upToDate,
    'return lastTerm >= this.lastTerm',
  ]),
  plant('last-term-never-updated', 'R-votes', 'an append does not update the last term of the log', 'skiff', [
    'log',
    'return this.termAt(this.last) ?? 0',
    'return this.#baseTerm ?? 0',
  ]),
  plant(
    'votes-without-names',
    'M16',
    'votes are counted, not voters: a repeated packet is two votes',
    'liferaft, jgroups-raft#24',
    [
      'election',
      'if (message.granted) role.granted.add(key)',
      'if (message.granted) role.granted.add(`${key} ${role.granted.size}`)',
    ],
    [...countVotes],
  ),
  plant(
    'votes-of-strangers',
    'M16',
    'the vote of a server that is no member counts',
    'skiff, openraft d000ee20',
    ['election', 'if (memberOf(effectiveConfig(raft).config, from) === undefined) return', ''],
    [...countVotes],
  ),
  plant(
    'two-votes-in-a-term',
    'E1',
    'a server votes for whoever asks, though it has voted in this term',
    'gaggle (its kind), @usex/raft',
    [
      'election',
      "if (raft.state.vote !== undefined && !sameSender(raft.state.vote, from)) return answer(false, 'voted for another')",
      '',
    ],
  ),
  plant(
    'leader-votes-for-others',
    'R7',
    'a leader grants another candidate its vote in its own term',
    'DaosRaft#1',
    [
      'election',
      "return raft.role.type === 'leader' || raft.now - raft.heardLeader",
      'return raft.now - raft.heardLeader',
    ],
    [
      'election',
      "if (raft.state.vote !== undefined && !sameSender(raft.state.vote, from)) return answer(false, 'voted for another')",
      "if (raft.role.type !== 'leader' && raft.state.vote !== undefined && !sameSender(raft.state.vote, from)) return answer(false, 'voted for another')",
    ],
  ),
  plant(
    'all-must-vote',
    'JS',
    'an election waits for the votes of all: one dead member stalls it',
    '@unrdf/consensus',
    [
      'election',
      'if (isQuorum(config, (member) => role.granted.has(memberKey(member)))) {',
      'if (config.members.filter(isVoter).every((member) => role.granted.has(memberKey(member)))) {',
    ],
  ),
  plant('lone-member-cannot-lead', 'JS', 'the only member never elects itself', 'liferaft', [
    'election',
    "if (raft.role.type !== 'candidate' || !raft.writes.isPromiseDurable) return",
    "if (raft.role.type !== 'candidate' || !raft.writes.isPromiseDurable || effectiveConfig(raft).config.members.length === 1) return",
  ]),
  plant('half-is-a-majority', 'B21', 'half of an even number is taken for a majority', 'hashicorp/raft 163a55f', [
    'membership/joint',
    'return beforeHas * 2 > before && afterHas * 2 > after',
    'return beforeHas * 2 >= before && afterHas * 2 >= after',
  ]),
  plant(
    'learner-stands',
    'B16',
    'a learner stands for election',
    'etcd-io/raft db54973, async-raft#114, hashicorp/raft#398',
    ['election', 'return member !== undefined && isVoter(member)', 'return member !== undefined'],
  ),
  plant(
    'wiped-voter-votes-again',
    'M13, B61',
    'a member is known by its name alone: one that lost its disk counts as the one it was',
    'braft#292, Ratis RATIS-1995',
    ['role', 'a?.id === b?.id && a?.incarnation === b?.incarnation', 'a?.id === b?.id'],
    [
      'progress',
      'export const memberKey = ({ id, incarnation }: Sender): string => `${id}/${incarnation}`',
      'export const memberKey = ({ id }: Sender): string => id',
    ],
  ),
]
