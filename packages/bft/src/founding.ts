import { Writer } from '@raftkit/bytes'
import type { GroupId } from '@raftkit/contract'
import { type Entry, headerHash } from './entry.ts'
import { type Digest, hashOf } from './hash.ts'
import { Members, type Operators, type Voter } from './members.ts'
import { merkleRoot } from './merkle.ts'

/** Who founds a cluster, and what it is called. */
export interface Founding {
  readonly cluster: string
  /** `main`, without Multi-Raft. */
  readonly group: GroupId
  readonly members: readonly Voter[]
  /** Who may change the members. Absent: nobody, ever. */
  readonly operators?: Operators
}

const zeros = '00'.repeat(32)

/**
 * The entry before all others, and the members of epoch 0: worked out by everyone from the same list, so that nobody need be asked. Its
 * hash, `members.genesis.hash`, is what clients sign under. Throws `INVALID_OPTION`.
 */
export function founding(
  digest: Digest,
  { cluster, group, members, operators }: Founding,
): { readonly entry: Entry; readonly members: Members } {
  const writer = new Writer(1024).text(cluster).text(group).u32(members.length)
  for (const { id, key } of [...members].sort((a, b) => (a.id < b.id ? -1 : 1))) writer.text(id).bytes(key)
  if (operators) {
    writer.u32(operators.threshold).u32(operators.keys.length)
    for (const key of operators.keys) writer.bytes(key)
  }
  const items = [writer.finish()]
  const entry: Entry = {
    header: {
      ...{ epoch: 0, index: 0, term: 0, kind: 'config', parent: zeros, root: merkleRoot(digest, items) },
      ...{ position: 0, time: 0 },
    },
    items,
  }
  const genesis = { index: 0, hash: headerHash(digest, entry.header) }
  return { entry, members: new Members(digest, 0, members, genesis, operators) }
}

const identityDigits = 32

/** What stands for the cluster where the runtime wants 32 hex digits. */
export const shortGenesis = ({ genesis }: Members): string => genesis.hash.slice(0, identityDigits)

/** A member is its key: under another key it is another member, so the key stands where Raft has a number drawn for each disk. */
export const incarnationOf = (digest: Digest, key: Uint8Array): string =>
  hashOf(digest, 'raftkit incarnation 1', key).slice(0, identityDigits)
