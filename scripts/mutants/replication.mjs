// @ts-check
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: lines of sources are quoted
import { plant } from './plant.mjs'

const sameTerm = 'if (log.termAt(index) === recordTerm(bytes, offset)) continue'

export const replication = [
  plant(
    'commit-of-an-earlier-term',
    'R1, B22',
    'an entry of an earlier term is committed by counting (Figure 8)',
    'LogCabin#44, PySyncObj#169, liferaft, CCF',
    [
      'replication',
      'if (index < leader.noop || index <= raft.commit) return\n  raft.commitTo(index)',
      'if (index <= raft.commit) return\n  raft.commitTo(index)',
    ],
  ),
  plant('rejection-acknowledges', 'R2', 'a rejection moves what is acknowledged', 'CCF (commit moved on AE-NACK)', [
    'replication',
    'confirmReads(raft, leader)\n  if (message.prevIndex <= progress.match) {',
    'progress.acknowledge(Math.min(message.last, raft.log.last), leader.round)\n  advanceCommit(raft, leader)\n  if (message.prevIndex <= progress.match) {',
  ]),
  plant('acknowledges-its-own-tail', 'R3', 'an acknowledgement covers a tail that the leader never showed', 'CCF', [
    'following',
    'const match = Math.min(Math.max(follower.verified, raft.commit), raft.writes.durableIndex)',
    'const match = raft.writes.durableIndex',
  ]),
  plant(
    'late-append-truncates',
    'R4, B24',
    'an append that comes late cuts what a newer one brought',
    'CCF#5991, RaftOS#2, openraft 9540c904, @unrdf/consensus',
    ['following', sameTerm, ''],
  ),
  plant('stale-heartbeat-cuts', 'R4', 'a heartbeat removes everything behind the index it names', 'liferaft', [
    'following',
    'if (count > 0) append(raft, message)',
    'if (count === 0 && prevIndex >= raft.commit && prevIndex < log.last) raft.truncate(prevIndex + 1)\n  if (count > 0) append(raft, message)',
  ]),
  plant(
    'only-the-last-conflict',
    'R4',
    'of several conflicting entries only the last is seen; earlier ones survive',
    'gaggle',
    [
      'following',
      'let index = Math.max(first, log.first)',
      'let index = Math.max(first, log.first, Math.min(log.last, end))',
    ],
  ),
  plant('previous-term-not-compared', 'R-match', 'an append behind an entry of another term is taken', 'liferaft', [
    'following',
    'log.termAt(prevIndex) !== prevTerm',
    'log.termAt(prevIndex) === undefined',
  ]),
  plant(
    'append-below-commit-throws',
    'JS',
    'an append that begins below the commit index stops the server',
    'zmq-raft',
    [
      'following',
      'const { prevIndex, prevTerm, count } = message\n',
      "const { prevIndex, prevTerm, count } = message\n  if (prevIndex < raft.commit) throw raft.broken('an append below the commit')\n",
    ],
  ),
  plant(
    'acknowledgement-of-an-earlier-life',
    'R5, B27',
    'acknowledgements from before a member was removed count after it came back',
    'raft-rs#571, etcd-io/raft#349 and 7 others',
    ['replication', 'message.round <= progress.firstRound || ', ''],
  ),
  plant(
    'amnesia-unnoticed',
    'R5',
    'a follower that shows less than it acknowledged is counted on',
    'PySyncObj#167 (its kind)',
    ['replication', 'if (message.round > progress.matchRound) forget(raft, progress)', ''],
  ),
  plant(
    'commit-over-unverified-tail',
    'R6, B23',
    'a follower commits its own tail, which the leader has not shown to be the same',
    'ra#508, NuRaft#57, WRaft#2',
    [
      'following',
      'raft.commitTo(Math.min(message.commit, follower.verified))',
      'raft.commitTo(Math.min(message.commit, log.last))',
    ],
  ),
  plant('commit-goes-back', 'R6', 'the commit index follows the leader’s, also downwards', 'PySyncObj#166', [
    'raft',
    'if (index <= before) return\n',
    'if (index === before) return\n',
  ]),
  plant(
    'clever-quorum',
    'R8, B20',
    'the committed index is read off a sorted list, whatever the configuration',
    'openraft#1802',
    [
      'quorum',
      'let largest = known\n',
      'let largest = known\n  const matches = config.members.map(matchOf)\n  if (matches.length > 0) return [...matches].sort((a, b) => b - a)[(matches.length - 1) >> 1]!\n',
    ],
  ),
  plant(
    'completion-out-of-order',
    'R10, B7',
    'an older completion takes back a newer one',
    'openraft#1960 (2af491fb)',
    ['writes', 'if (id <= this.durable) return\n', '\n'],
  ),
  plant(
    'late-completion-acknowledges',
    'B8',
    'the late completion of a suffix that was cut acknowledges what stands in its place',
    'ra 39490978, 324d9bc5; etcd (append ABA race)',
    ['writes', 'if (flight.last !== undefined) flight.last = Math.min(flight.last, at - 1)', ''],
  ),
  plant(
    'cut-stays-durable',
    'B8',
    'what was durable and is cut still counts as durable',
    'etcd-io/raft (its async storage tests)',
    ['writes', 'this.durableIndex = Math.min(this.durableIndex, at - 1)', ''],
  ),
  plant(
    'stale-log-read',
    'B8',
    'records that were read before the log was cut are sent as if they were still its own',
    'etcd (ABA)',
    ['replication', 'const same = log.sameTerms(checked)', 'const same = checked.ends.length'],
  ),
  plant('term-0-for-compacted', 'R12, B30', 'for a compacted index term 0 is made up', 'etcd-io/raft#31 (76f1249)', [
    'replication',
    'const prevTerm = log.termAt(progress.next - 1)\n    if (prevTerm === undefined || progress.next < log.first) {',
    'const prevTerm = log.termAt(progress.next - 1) ?? 0\n    if (progress.next < 1) {',
  ]),
  plant(
    'compacted-leader-offers-nothing',
    'R12, B31',
    'a leader whose log is compacted to its end never offers its snapshot',
    'openraft#1828 (afd6508b)',
    [
      'replication',
      'if (prevTerm === undefined || progress.next < log.first) {',
      'if (log.first > log.last) break\n    if (prevTerm === undefined || progress.next < log.first) {',
    ],
  ),
  plant(
    'counts-before-its-disk',
    'R13, B4, B5',
    'a leader counts its own entries before its disk has them',
    'etcd#14370, openraft a9f696a9',
    [
      'replication',
      'if (sameSender(member, raft.self)) return raft.writes.durableIndex',
      'if (sameSender(member, raft.self)) return raft.log.last',
    ],
  ),
  plant(
    'acknowledges-before-its-disk',
    'E2',
    'a follower acknowledges entries before its disk has them',
    'skiff, NATS (flush every 2 minutes)',
    [
      'following',
      'const match = Math.min(Math.max(follower.verified, raft.commit), raft.writes.durableIndex)',
      'const match = Math.max(follower.verified, raft.commit)',
    ],
  ),
  plant('cut-in-memory-alone', 'JS', 'a truncation is not written', 'kanaka/raft.js', [
    'log',
    'this.#unwritten = Math.min(this.#unwritten ?? from, from)\n',
    '\n',
  ]),
  plant(
    'deposed-leader-drops-its-tail',
    'B25',
    'a leader that steps down removes what it has not committed',
    'CCF#5674',
    [
      'leading',
      'failReads(raft, role, reason)\n',
      'failReads(raft, role, reason)\n  if (raft.log.last > raft.commit) raft.truncate(raft.commit + 1)\n',
    ],
  ),
  plant(
    'rejection-with-the-wrong-index',
    'B26',
    'a rejection names the end of the log, not where it differs',
    'CCF#2835, RATIS-2135, RATIS-2137',
    [
      'following',
      'const hintIndex = Math.max(raft.commit, log.agreeUpTo(prevIndex, prevTerm))',
      'const hintIndex = Math.max(prevIndex, log.last)',
    ],
  ),
  plant(
    'late-rejection-is-a-lost-log',
    'B28',
    'a rejection that comes late, after the follower caught up, is taken for a lost log',
    'openraft#1500',
    ['replication', 'if (message.round > progress.matchRound) forget(raft, progress)', 'forget(raft, progress)'],
  ),
  plant(
    'stuck-after-a-loss',
    'B32',
    'what was lost on the way is never sent again without a new proposal',
    'etcd-io/raft#52',
    [
      'leading',
      'if (raft.now - progress.moved < raft.settings.retryInterval || progress.contact <= progress.moved) return',
      'return',
    ],
  ),
  plant(
    'window-leaks',
    'B32, R15',
    'bytes in flight are not forgotten when the peer’s state changes',
    'etcd-io/raft#54',
    [
      'progress',
      'this.inflight = []\n    this.inflightBytes = 0\n    this.reading = undefined',
      'this.inflight = []\n    this.reading = undefined',
    ],
  ),
  plant('uncommitted-size-leaks', 'B33', 'the count of uncommitted bytes never falls', 'etcd-io/raft a370b6f', [
    'raft',
    'this.role.uncommittedBytes = this.log.bytesAbove(this.commit)',
    '',
  ]),
  plant('stalled-disk-leads-on', 'D8, B35', 'a leader whose disk hangs leads on', 'hashicorp/raft#503', [
    'leading',
    "if (raft.isDiskStalled) return stepDown(raft, 'its disk has not finished a write for too long')",
    '',
  ]),
  plant(
    'higher-term-ignored-by-a-leader',
    'S6',
    'a leader counts the answer of a peer that is in a higher term',
    'hashicorp/raft#666, braft',
    [
      'replication',
      'if (message.term > raft.state.term) {\n    becomeFollower(raft, message.term, undefined, `${from.id} has a higher term`)\n    return undefined\n  }',
      '',
    ],
  ),
  plant('old-leader-heeded', 'E8', 'a follower takes entries of a leader of an earlier term', 'gaggle (its kind)', [
    'following',
    'if (message.term < raft.state.term) {\n    raft.send',
    'if (false) {\n    raft.send',
  ]),
  plant(
    'unverified-records',
    'D2, D10',
    'records from disk and wire are taken without their checksum and index',
    'RedisRaft, LevelDB’s silent holes',
    ['log', '  readRecord,\n  recordKind,', '  readRecord,\n  recordEnd,\n  recordKind,'],
    [
      'log',
      'const end = verifyRecord(bytes, offset, this.checksumSeed, first + at)',
      'const end = recordEnd(bytes, offset)',
    ],
  ),
  plant(
    'boot-not-counted',
    'Q3, B38',
    'the boot number does not rise: what an earlier process sent is taken for what this one sends',
    'etcd#20418 (its kind)',
    ['opening', '{ ...state, boot: state.boot + 1 }', '{ ...state }'],
  ),
]
