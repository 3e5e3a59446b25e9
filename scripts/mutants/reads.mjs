// @ts-check
import { plant } from './plant.mjs'

export const reads = [
  plant(
    'leader-reads-alone',
    'Q1',
    'whoever believes to lead answers reads without asking anybody',
    'etcd#741, Consul#54',
    [
      'reads',
      'else enqueue(raft, raft.role, id, undefined)',
      "else raft.settle({ type: 'read', id, index: raft.commit })",
    ],
  ),
  plant(
    'read-before-the-first-commit',
    'Q2, B37',
    'a new leader answers reads before it has committed an entry of its term',
    'etcd#7331, tikv#6340, tikv#9239',
    ['reads', 'const known = raft.commit >= leader.noop', 'const known = true'],
    [
      'reads',
      'export function confirmReads(raft: Raft, leader: Leader): void {\n  if (raft.commit < leader.noop) return',
      'export function confirmReads(raft: Raft, leader: Leader): void {',
    ],
  ),
  plant(
    'old-round-confirms',
    'Q3, B38',
    'acknowledgements of an earlier round confirm a read',
    'etcd#20418, etcd-io/raft#397',
    [
      'reads',
      'while (done < leader.reads.length && leader.reads[done]!.round < confirmed) done++',
      'while (done < leader.reads.length && leader.reads[done]!.round <= confirmed) done++',
    ],
  ),
  plant('read-before-applied', 'Q4', 'a read is answered before the machine holds what it must see', 'etcd#13464', [
    'raftkit/reads',
    'this.#replica.applier.between(index, run, (error) => ending.fail(error))',
    'this.#replica.applier.between(0, run, (error) => ending.fail(error))',
  ]),
  plant(
    'lease-from-receipt',
    'Q5',
    'a lease counts from when its round was confirmed, not from when it left',
    'sofa-jraft PR 34',
    ['reads', 'leader.rounds.filter(({ round }) => round <= confirmed).at(-1)?.at', 'raft.now'],
  ),
  plant('lease-without-end', 'Q5', 'a lease that was held once is held for ever', 'Consul’s default (its kind)', [
    'reads',
    'if (begun === undefined || raft.now >= begun + leaseDuration) return undefined\n  return begun + leaseDuration',
    'if (begun === undefined) return undefined\n  return raft.now + leaseDuration',
  ]),
  plant(
    'lease-not-checked-after',
    'Q6',
    'a lease is not looked at again once the answer was computed: the process may have stood still',
    'tikv#964',
    ['raftkit/reads', 'const valid = until === undefined || this.#environment.now() < until', 'const valid = true'],
  ),
  plant('lease-during-transfer', 'Q7, B40', 'a lease answers while leadership is handed over', 'openraft#1747', [
    'reads',
    'if (leaseDuration === 0 || leader.leasesLost || leader.transfer !== undefined || raft.commit',
    'if (leaseDuration === 0 || raft.commit',
  ]),
  plant(
    'voters-forget-their-leader',
    'Q5',
    'voters do not wait for their leader’s silence, on which leases rest',
    'vanilla Raft with leases',
    ['election', 'if (!message.transfer && hearsLeader(raft)) return', 'if (false) return'],
  ),
  plant(
    'restart-forgets-the-leader',
    'Q5',
    'after a restart a voter does not wait for the leader it may have heard before',
    'thesis §6.4.1',
    ['raft', "if (state.genesis !== '') this.heardLeader = now", ''],
  ),
  plant('learners-confirm-reads', 'B41', 'learners count in quorums', 'MicroRaft c768342', [
    'membership/joint',
    'if (!isVoter(member)) continue\n    const counts',
    'if (!isVoter(member)) {\n      if (has(member)) beforeHas = ++afterHas\n      continue\n    }\n    const counts',
  ]),
]
