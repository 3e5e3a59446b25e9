import type { Index, NodeId, Term } from '@raftkit/contract'
import type { SnapshotRecord } from './durable.ts'

/** Asks for a vote (§5.2), or, with `pre`, whether one would be granted (thesis §9.6): then `term` is the one to be stood for. */
export interface RequestVote {
  readonly type: 'requestVote'
  readonly term: Term
  readonly pre: boolean
  /** Which attempt of this candidate it is: an answer counts only for the attempt that asked. */
  readonly ballot: number
  readonly lastIndex: Index
  readonly lastTerm: Term
  /** The leader itself asked for the election (thesis §3.10): voters do not wait for its silence. */
  readonly transfer: boolean
}

export interface Vote {
  readonly type: 'vote'
  /** The voter's own term. */
  readonly term: Term
  /** The term that was asked for. */
  readonly forTerm: Term
  readonly pre: boolean
  readonly ballot: number
  readonly granted: boolean
}

/** Replicates records; without any, a heartbeat (§5.3). */
export interface AppendEntries {
  readonly type: 'appendEntries'
  readonly term: Term
  /** Rises with every `take` of the leader that sends; what a follower echoes confirms all before. 0: nobody waits for an answer. */
  readonly round: number
  readonly prevIndex: Index
  readonly prevTerm: Term
  readonly commit: Index
  readonly count: number
  readonly records: readonly Uint8Array[]
}

/** How far this log is known to equal the leader's. */
export interface Appended {
  readonly type: 'appended'
  /** Higher than the leader's: it is deposed, and the rest means nothing. */
  readonly term: Term
  /** The highest round received. */
  readonly round: number
  /** Durable up to here. */
  readonly match: Index
  /** In memory up to here. */
  readonly received: Index
}

/** The log has no entry (prevIndex, prevTerm). */
export interface Rejected {
  readonly type: 'rejected'
  readonly term: Term
  readonly round: number
  readonly prevIndex: Index
  /** Where the logs may still agree: the last index up to `prevIndex` with a term of at most `prevTerm`, and its term. */
  readonly hintIndex: Index
  readonly hintTerm: Term
  readonly last: Index
}

/** The leader no longer has the records this follower needs: it shall fetch the snapshot (§7). */
export interface OfferSnapshot {
  readonly type: 'offerSnapshot'
  readonly term: Term
  readonly round: number
  readonly snapshot: SnapshotRecord
}

export interface FetchSnapshot {
  readonly type: 'fetchSnapshot'
  readonly name: string
  readonly offset: number
  readonly maxBytes: number
}

export interface SnapshotChunk {
  readonly type: 'snapshotChunk'
  readonly name: string
  readonly offset: number
  /** CRC-32 of `bytes`. */
  readonly checksum: number
  /** Empty: this server has no such snapshot. */
  readonly bytes: Uint8Array
}

/** Stand for election at once (thesis §3.10). */
export interface TimeoutNow {
  readonly type: 'timeoutNow'
  readonly term: Term
}

/** Somebody asks the leader of `term` to hand leadership over; `to` is '' if it shall choose. */
export interface HandOver {
  readonly type: 'handOver'
  readonly term: Term
  readonly id: number
  readonly to: NodeId
}

export interface HandOverRefused {
  readonly type: 'handOverRefused'
  readonly id: number
  readonly code: string
  readonly reason: string
}

export interface Forwarded {
  readonly id: number
  readonly kind: 'command' | 'change'
  readonly time: number
  readonly seed: number
  readonly data: Uint8Array
}

/** Proposals for the leader, from a server that does not lead. */
export interface Forward {
  readonly type: 'forward'
  /** The term the receiver is believed to lead in. */
  readonly term: Term
  readonly proposals: readonly Forwarded[]
}

export type Placement =
  | { readonly id: number; readonly index: Index; readonly term: Term }
  | { readonly id: number; readonly code: string; readonly reason: string }

export interface ForwardResult {
  readonly type: 'forwardResult'
  readonly placements: readonly Placement[]
}

/** Asks the leader up to where a linearizable read has to wait (thesis §6.4). One for all reads that wait. */
export interface ReadIndex {
  readonly type: 'readIndex'
  readonly id: number
}

export interface ReadIndexResult {
  readonly type: 'readIndexResult'
  readonly id: number
  /** Undefined: the leader was deposed before it could tell. */
  readonly index: Index | undefined
}

/** The configuration committed at `index` does not list you (thesis §4.2.3). */
export interface Removed {
  readonly type: 'removed'
  readonly index: Index
}

export interface Founder {
  readonly id: NodeId
  readonly address: string | undefined
  /** As far as the sender has heard; '' if it has not. */
  readonly incarnation: string
}

/** What one founder knows of all founders; see founding.ts. */
export interface Found {
  readonly type: 'found'
  /** The sender has founded, and needs no answer. */
  readonly done: boolean
  readonly founders: readonly Founder[]
}

export type Message =
  | RequestVote
  | Vote
  | AppendEntries
  | Appended
  | Rejected
  | OfferSnapshot
  | FetchSnapshot
  | SnapshotChunk
  | TimeoutNow
  | HandOver
  | HandOverRefused
  | Forward
  | ForwardResult
  | ReadIndex
  | ReadIndexResult
  | Removed
  | Found
