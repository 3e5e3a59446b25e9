// @ts-check
import { plant } from './plant.mjs'

export const snapshots = [
  plant(
    'conflicting-log-kept',
    'S1, B52',
    'an installed snapshot keeps a log that contradicts it',
    'hashicorp/raft#697',
    ['snapshots', 'if (raft.log.termAt(snapshot.index) !== snapshot.term) {', 'if (raft.log.last < snapshot.index) {'],
  ),
  plant(
    'old-snapshot-installed',
    'S2',
    'an old snapshot replaces a newer state',
    'openraft#543, etcd PR 1763',
    [
      'snapshots',
      'if (snapshot.index <= raft.commit || raft.restoring !== undefined) return',
      'if (raft.restoring !== undefined) return',
    ],
    ['snapshots', 'if (snapshot.index <= raft.commit) return releaseOthers(raft)', ''],
    ['snapshots', 'if (fetching !== undefined && fetching.snapshot.index <= raft.commit) {', 'if (false) {'],
  ),
  plant('restore-merges', 'S3', 'a restore keeps what the machine held before', 'jgroups-raft#301, RaftKeeper#99', [
    'raftkit/replicate',
    'this.#state = state\n      this.#sessions',
    'if (this.#state instanceof Map && state instanceof Map) for (const [key, value] of this.#state) if (!state.has(key)) state.set(key, value)\n      this.#state = state\n      this.#sessions',
  ]),
  plant(
    'released-before-named',
    'S4, B54',
    'the blob that the disk names is removed before the write that names another is durable',
    'dragonboat PR 409, ra de94f929',
    ['snapshots', 'if (raft.releaseAfter !== undefined) return\n', '\n'],
  ),
  plant(
    'compacted-beyond-the-snapshot',
    'S4',
    'the log is compacted beyond what the snapshot holds',
    'B60 (its kind), openraft 8dc0ba5b',
    ['snapshots', 'let to = snapshot.index - raft.settings.trailingEntries', 'let to = raft.commit'],
  ),
  plant(
    'candidate-refuses-snapshots',
    'S5',
    'a candidate does not take a snapshot, for ever',
    'ra PR 607, nebula PR 1769',
    [
      'snapshots',
      'const follower = heed(raft, from, message)',
      "if (raft.role.type !== 'follower') return\n  const follower = heed(raft, from, message)",
    ],
  ),
  plant('fetching-is-no-contact', 'S7', 'a peer that fetches a snapshot for long is taken for dead', 'dragonboat', [
    'snapshots',
    'if (progress.member.incarnation === from.incarnation) progress.contact = raft.now',
    '{\n      }',
  ]),
  plant('damaged-chunk-accepted', 'S8', 'a chunk that was damaged on its way is written', 'NuRaft#185', [
    'snapshots',
    ' && crc32(bytes) === checksum',
    '',
  ]),
  plant(
    'stuck-in-snapshot',
    'S9, B57',
    'a peer whose log has passed the offered snapshot is offered it for ever',
    'etcd-io/raft#124',
    ['replication', "progress.state === 'snapshot' &&\n    message.match", 'false &&\n    message.match'],
  ),
  plant(
    'local-snapshot-overtakes',
    'S10, B54',
    'a local snapshot that ends after a newer one was installed takes its place',
    'ra de94f929, etcd#18055',
    [
      'snapshots',
      'if (index <= (raft.state.snapshot?.index ?? 0) || index > raft.applied || term === undefined)',
      'if (index > raft.applied || term === undefined)',
    ],
  ),
  plant('chunk-at-the-wrong-place', 'B58', 'a chunk is appended whatever its offset', 'openraft 946dc3f9', [
    'snapshots',
    'message.name !== fetching.snapshot.name ||\n    message.offset !== fetching.held',
    'message.name !== fetching.snapshot.name ||\n    fetching.held === undefined',
  ]),
]
