// @ts-check
import { plant } from './plant.mjs'

export const clients = [
  plant(
    'acknowledged-before-commit',
    'JS',
    'a command is reported done once it is placed, committed or not',
    '@usex/raft',
    [
      'proposals',
      'for (; settled < placed.length && placed[settled]!.index <= raft.commit; settled++) {',
      'for (; settled < placed.length; settled++) {',
    ],
    [
      'proposals',
      "if ('index' in placement) raft.proposals.place(id, placement.index, placement.term)",
      "if ('index' in placement) {\n      raft.proposals.place(id, placement.index, placement.term)\n      settlePlaced(raft)\n    }",
    ],
  ),
  plant(
    'index-alone-decides',
    'Q11',
    'a caller is told success by another term’s entry at the index of its own',
    'hashicorp/raft (its kind), jraft',
    ['proposals', 'else if (there !== term) {', 'else if (false) {'],
  ),
  plant(
    'unknown-told-as-refused',
    'Q10',
    'a forwarded command whose answer is lost is reported as one that did not happen',
    'openraft PR 2096',
    [
      'proposals',
      "raft.settle({ type: 'unknown', id, reason: 'the leader it was forwarded to did not answer' })",
      "raft.settle({ type: 'refused', id, code: 'NO_LEADER', reason: 'the leader did not answer' })",
    ],
  ),
  plant(
    'forwarded-to-another-term',
    'Q10',
    'a command that was forwarded to the leader of one term is placed by that of another, after it was refused',
    'B51 (its kind)',
    ['proposals', 'if (term <= raft.forwards.forgotten || term > raft.state.term) return\n', '\n'],
  ),
  plant(
    'forwarded-twice',
    'Q8',
    'a forwarded command whose message is repeated is placed twice',
    'Curvine#676, ra#145',
    ['proposals', 'if (known !== undefined) return known\n', '\n'],
  ),
  plant('retry-executes-twice', 'Q8', 'a retried command is executed again', 'etcd#18424, ra#145', [
    'raftkit/sessions',
    "return answer ? { type: 'repeated', answer } : execute",
    'return execute',
  ]),
  plant(
    'evicted-session-executes',
    'Q9',
    'a retry in a session that was evicted is executed',
    'dragonboat (its LRU of sessions)',
    [
      'raftkit/sessions',
      "if (!session) return { type: 'expired', horizon: this.#horizon }",
      'if (!session) return execute',
    ],
    [
      'raftkit/sessions',
      'this.#sessions.get(session)!.answers.set(seq, answer)',
      'this.#sessions.get(session)?.answers.set(seq, answer)',
    ],
  ),
  plant(
    'sessions-not-in-snapshots',
    'Q9',
    'a snapshot does not bring the sessions with it',
    'zmq-raft (memory with a TTL)',
    ['raftkit/replicate', 'this.#sessions = sessions\n', '\n'],
  ),
  plant(
    'forgotten-answer-executes',
    'Q9',
    'a command that its client gave up long ago is executed when it comes late',
    'dragonboat (its kind)',
    [
      'raftkit/sessions',
      'if (seq < session.low || seq >= session.low + sessionWindow)',
      'if (seq >= session.low + sessionWindow)',
    ],
  ),
  plant('applied-twice', 'R17', 'an entry is handed to the machine twice', 'sofa-jraft#18, #1195', [
    'raft',
    'this.handed = to\n',
    'this.handed = to > from ? to - 1 : to\n',
  ]),
  plant('apply-skips', 'B34', 'of a page of committed entries one is skipped', 'etcd#10063', [
    'raft',
    'const from = this.handed + 1\n',
    'const from = Math.min(this.handed + (this.commit - this.handed > 4 ? 2 : 1), this.commit)\n',
  ]),
  plant('throw-is-skipped', 'R17, B62', 'a command that throws is passed over', 'sofa-jraft#1246', [
    'raftkit/replicate',
    'for (const command of batch) results.push(this.#applyOne(command))',
    'for (const command of batch) {\n        try {\n          results.push(this.#applyOne(command))\n        } catch {\n          results.push(doneResult())\n        }\n      }',
  ]),
  plant(
    'too-large-is-placed',
    'R14',
    'a command that fits no frame is placed in the log',
    'sofa-jraft#987, copycat#181',
    [
      'proposals',
      'if (payload.length > raft.settings.proposalBytes) return { id, ...tooLarge(raft, payload.length) }\n',
      '\n',
    ],
  ),
  plant(
    'local-clock-in-the-machine',
    'R19',
    'the machine is given the time of the replica, not of the entry',
    'every divergence by Date.now()',
    ['raftkit/replicate', 'time: this.#time,\n', 'time: this.#time + Math.floor(Math.random() * 1000),\n'],
  ),
]
