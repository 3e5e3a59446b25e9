import { Reader } from '@raftkit/bytes'
import type { Config, Index, Member, Role, Term } from '@raftkit/contract'

/*
 * What the state blob and a configuration say, read by nothing but @raftkit/bytes: the invariants do not trust the code they judge
 * to tell what it wrote.
 */

export interface SnapshotSeen {
  readonly name: string
  readonly index: Index
  readonly term: Term
  readonly bytes: number
  readonly configIndex: Index
  readonly config: Config
}

/** The durable state of one server (Raft paper, Figure 2, and who it is). */
export interface StateSeen {
  readonly id: string
  readonly incarnation: string
  readonly boot: number
  readonly genesis: string
  readonly term: Term
  /** `id/incarnation`, or '' for none. */
  readonly vote: string
  readonly snapshot: SnapshotSeen | undefined
}

const roles: readonly Role[] = ['voter', 'incoming', 'outgoing', 'demoted', 'learner', 'joining', 'leaving', 'retiring']

/** One name for an id under one incarnation. */
export const keyOf = (who: { readonly id: string; readonly incarnation: string }): string =>
  `${who.id}/${who.incarnation}`

export function readState(bytes: Uint8Array): StateSeen {
  const reader = new Reader(bytes)
  const format = reader.u8()
  if (format !== 1) throw new Error(`a state of format ${format}`)
  reader.text() // cluster
  reader.text() // group
  const id = reader.text()
  const incarnation = reader.text()
  const boot = reader.u64()
  const genesis = reader.text()
  const term = reader.u64()
  const voted = { id: reader.text(), incarnation: reader.text() }
  const snapshot = reader.u8() === 1 ? readSnapshot(reader) : undefined
  reader.end()
  return { id, incarnation, boot, genesis, term, vote: voted.id === '' ? '' : keyOf(voted), snapshot }
}

function readSnapshot(reader: Reader): SnapshotSeen {
  const name = reader.text()
  const index = reader.u64()
  const term = reader.u64()
  const bytes = reader.u64()
  const configIndex = reader.u64()
  reader.u64() // time
  return { name, index, term, bytes, configIndex, config: readConfig(reader) }
}

function readConfig(reader: Reader): Config {
  const layout = reader.u8()
  if (layout !== 1) throw new Error(`a configuration of format ${layout}`)
  const format = reader.u32()
  const members: Member[] = []
  for (let left = reader.u32(); left > 0; left--) {
    const id = reader.text()
    const address = reader.text()
    const incarnation = reader.text()
    const role = roles[reader.u8()]
    if (role === undefined) throw new Error(`${id} has no known role`)
    members.push(address === '' ? { id, incarnation, role } : { id, address, incarnation, role })
  }
  return { format, members }
}

export function configOf(payload: Uint8Array): Config {
  const reader = new Reader(payload)
  const config = readConfig(reader)
  reader.end()
  return config
}

export function sameConfig(a: Config, b: Config): boolean {
  if (a === b) return true
  if (a.format !== b.format || a.members.length !== b.members.length) return false
  return a.members.every((member, at) => {
    const other = b.members[at]!
    return (
      member.id === other.id &&
      member.incarnation === other.incarnation &&
      member.role === other.role &&
      member.address === other.address
    )
  })
}

/** Words for a violation. */
export const shown = (config: Config): string =>
  config.members.map(({ id, incarnation, role }) => `${id}/${incarnation.slice(0, 4)} ${role}`).join(', ')
