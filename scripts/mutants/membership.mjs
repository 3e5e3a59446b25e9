// @ts-check
import { plant } from './plant.mjs'

const both = 'return beforeHas * 2 > before && afterHas * 2 > after'

export const membership = [
  plant(
    'change-before-own-commit',
    'M1, B42',
    'a change begins before the leader has committed an entry of its term',
    'single-server changes as first published (Ongaro, raft-dev 2015), hydro#3192',
    ['configuration', 'if (raft.commit < leader.noop) {\n    throw', 'if (false) {\n    throw'],
    [
      'configuration',
      'if (index > raft.commit || raft.commit < leader.noop || leader.transfer',
      'if (index > raft.commit || leader.transfer',
    ],
  ),
  plant('quorum-of-the-union', 'M2', 'a joint quorum is a majority of all members of both halves together', 'CCF', [
    'membership/joint',
    both,
    'return (beforeHas + afterHas) * 2 > before + after',
  ]),
  plant('new-half-decides', 'B45', 'in a joint configuration the new half decides alone', 'etcd#11003', [
    'membership/joint',
    both,
    'return afterHas * 2 > after',
  ]),
  plant(
    'old-half-decides',
    'B45',
    'in a joint configuration the old half decides alone',
    'etcd#11003 (its other half)',
    ['membership/joint', both, 'return beforeHas * 2 > before'],
  ),
  plant(
    'configuration-not-rolled-back',
    'M3, B47',
    'a configuration whose entry was cut off stays in force',
    'canonical/raft#250, camunda#57393, ra PR 609',
    [
      'log',
      'while (this.configs.length > 0 && this.configs[this.configs.length - 1]!.index >= from) this.configs.pop()',
      '',
    ],
  ),
  plant(
    'snapshot-keeps-old-configuration',
    'M4, B47',
    'an installed snapshot leaves configurations of the old log in force',
    'openraft#1808, scylla#9551',
    ['log', 'this.#runs = []\n    this.configs = []', 'this.#runs = []'],
  ),
  plant(
    'snapshot-holds-uncommitted-configuration',
    'M5, B47',
    'a snapshot says the newest configuration, committed or not',
    'canonical/raft#354',
    ['snapshots', 'configAt(raft, index)\n', 'configAt(raft, raft.log.last)\n'],
  ),
  plant(
    'configuration-once-committed',
    'M6, B43',
    'a configuration counts only once it is committed',
    'etcd#7280, etcd#11284, etcd-io/raft#80',
    ['configuration', 'configAt(raft, raft.log.last)', 'configAt(raft, raft.commit)'],
  ),
  plant('joint-never-left', 'M7, B44', 'a joint configuration is never left', 'etcd#12136', [
    'membership/next',
    'if (isJoint(config)) return leaveJoint(config)',
    'if (isJoint(config)) return undefined',
  ]),
  plant(
    'joint-left-many-times',
    'M7, B44',
    'a joint configuration is left again with every acknowledgement',
    'etcd-io/raft bd3c759',
    [
      'configuration',
      'if (index > raft.commit || raft.commit < leader.noop || leader.transfer',
      'if (raft.commit < leader.noop || leader.transfer',
    ],
  ),
  plant('quorum-given-away', 'M8', 'a change is begun though its new members cannot be reached', 'raft-rs#192', [
    'membership/begin',
    "if (!('force' in request && request.force)) requireQuorum(joint, standing)",
    '',
  ]),
  plant(
    'removed-may-not-stand',
    'M9',
    'a server whose removal is not committed does not stand, though nobody else can win',
    'openraft#2091',
    [
      'election',
      'return newest.index > raft.commit && votesIn(configBefore(raft, newest.index), raft.self)',
      'return false',
    ],
  ),
  plant(
    'removed-never-learns',
    'M10, B15',
    'a removed server is not told, and stands again and again',
    'hashicorp/raft#524, canonical/raft PR 137',
    ['election', 'if (!upToDate && isOutside(raft, from))', 'if (false)'],
  ),
  plant(
    'learner-refuses-to-vote',
    'M11',
    'a member that does not know of its promotion refuses to vote',
    'raft-rs#57',
    [
      'election',
      "if (message.term < raft.state.term) return answer(false, 'its term is old')",
      "if (!votesIn(effectiveConfig(raft), raft.self)) return answer(false, 'it has no vote')\n  if (message.term < raft.state.term) return answer(false, 'its term is old')",
    ],
  ),
  plant('promoted-before-caught-up', 'M12, B50', 'a newcomer is promoted before it has caught up', 'RATIS-1960', [
    'membership/next',
    'const ready = joining.filter((member) => standing.caughtUp(member))',
    'const ready = joining',
  ]),
  plant('two-changes-in-flight', 'M14', 'a second change begins while the first is not committed', 'sofa-jraft#20', [
    'configuration',
    'if (index > raft.commit) {\n    throw',
    'if (false) {\n    throw',
  ]),
  plant('removed-leader-leads-on', 'B48', 'a leader whose removal is committed leads on', 'etcd#11038, raft-rs#584', [
    'raft',
    'if (mustLeave(this)) leaveOffice(this, this.role)',
    '',
  ]),
  plant('transfer-to-who-lags', 'R18, B49', 'leadership is handed to a member that lacks entries', 'openraft#1805', [
    'leading',
    'if (progress === undefined || progress.match < raft.log.last) return',
    'if (progress === undefined) return',
  ]),
  plant(
    'transfer-never-given-up',
    'R18',
    'a transfer to a dead member blocks all proposals for ever',
    'hashicorp/raft#696',
    ['leading', 'leader.transfer = undefined\n', '\n'],
  ),
  plant(
    'strangers-cluster-heeded',
    'N1, M15',
    'messages of another cluster are handled',
    'etcd 2025-12-17 (zombie members), Ratis',
    ['receiving', '} else if (genesis !== mine) {', '} else if (false) {'],
  ),
]
