import { Reader, Writer } from '@raftkit/bytes'
import type { Config, GroupId, Index, NodeId, Sender, SnapshotPoint, Term } from '@raftkit/contract'
import { RaftkitError } from '@raftkit/contract'
import { readConfig, writeConfig } from './config-encoding.ts'

/** A snapshot with what the log would say if it still reached that far: the configuration in force at its index, and its time stamp. */
export interface SnapshotRecord extends SnapshotPoint {
  readonly config: Config
  readonly configIndex: Index
  readonly time: number
}

/** The state blob: everything a server must not forget but its log (Figure 2, and who it is). */
export interface Durable {
  readonly cluster: string
  readonly group: GroupId
  readonly id: NodeId
  /** This member's life under this id, random; a wiped server comes back as another. */
  readonly incarnation: string
  /** Rises with every open: what an earlier process sent is told from what this one sends. */
  readonly boot: number
  /** Hash of the first configuration, 32 hex digits; '' while the server belongs to no cluster. */
  readonly genesis: string
  /** `currentTerm` */
  readonly term: Term
  /** `votedFor` */
  readonly vote: Sender | undefined
  /** The snapshot in force. A blob that is not named here is not in force. */
  readonly snapshot: SnapshotRecord | undefined
}

const stateFormat = 1
/** Longest name of a snapshot, in bytes. */
const nameLimit = 128

export function encodeDurable(state: Durable): Uint8Array {
  const writer = new Writer(256).u8(stateFormat)
  writer.text(state.cluster).text(state.group).text(state.id).text(state.incarnation).u64(state.boot)
  writer
    .text(state.genesis)
    .u64(state.term)
    .text(state.vote?.id ?? '')
    .text(state.vote?.incarnation ?? '')
  writer.u8(state.snapshot === undefined ? 0 : 1)
  if (state.snapshot !== undefined) writeSnapshotRecord(writer, state.snapshot)
  return writer.finish()
}

export function decodeDurable(bytes: Uint8Array): Durable {
  const reader = new Reader(bytes)
  const format = reader.u8()
  if (format !== stateFormat) {
    throw new RaftkitError(
      'UNKNOWN_FORMAT',
      `state format ${format}; this version reads ${stateFormat}: use the version that wrote it`,
    )
  }
  const cluster = reader.text()
  const group = reader.text()
  const id = reader.text()
  const incarnation = reader.text()
  const boot = reader.u64()
  const genesis = reader.text()
  const term = reader.u64()
  const vote: Sender = { id: reader.text(), incarnation: reader.text() }
  const snapshot = reader.u8() === 1 ? readSnapshotRecord(reader) : undefined
  reader.end()
  return { cluster, group, id, incarnation, boot, genesis, term, vote: vote.id === '' ? undefined : vote, snapshot }
}

export function writeSnapshotRecord(writer: Writer, snapshot: SnapshotRecord): Writer {
  writer.text(snapshot.name).u64(snapshot.index).u64(snapshot.term).u64(snapshot.bytes)
  return writeConfig(writer.u64(snapshot.configIndex).u64(snapshot.time), snapshot.config)
}

const nameRule = /^[A-Za-z0-9][A-Za-z0-9._-]*$/

/** A store is asked for what is named: whatever is no name ends here, and not the replica. */
export function readName(reader: Reader): string {
  const name = reader.text(nameLimit)
  if (!nameRule.test(name)) throw new RaftkitError('MALFORMED', 'a snapshot has a name that is none')
  return name
}

export function readSnapshotRecord(reader: Reader): SnapshotRecord {
  const name = readName(reader)
  const index = reader.u64()
  const term = reader.u64()
  const bytes = reader.u64()
  const configIndex = reader.u64()
  const time = reader.u64()
  return { name, index, term, bytes, configIndex, time, config: readConfig(reader) }
}
