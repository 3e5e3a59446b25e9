import type { Index, Term } from '@raftkit/contract'
import type { Certificate, Mandate, TermCertificate, TermVote } from './certificate.ts'
import type { Checkpoint, CheckpointCertificate } from './checkpoint.ts'
import type { Entry } from './entry.ts'
import type { Step } from './epochs.ts'
import type { Hash } from './hash.ts'
import type { Phase, Place } from './statement.ts'

/**
 * What members tell each other. The channel says who sends; whatever must convince a third party is signed. A vote is counted only when
 * its own signer sends it, so it names none.
 */
export type Message =
  /** AppendEntries. `signature`: the leader's own phase-1 vote for the last entry. */
  | {
      readonly type: 'appendEntries'
      readonly epoch: number
      readonly term: Term
      /** In order, each the child of the one before. */
      readonly entries: readonly Entry[]
      readonly signature: Uint8Array
      /** With the first entries of a term above 0, and whenever they may have been missed. */
      readonly proof: Mandate | undefined
    }
  | {
      readonly type: 'vote'
      readonly epoch: number
      readonly phase: Phase
      readonly place: Place
      readonly signature: Uint8Array
    }
  /** A suspicion: this term should be given up. Promises nothing. */
  | { readonly type: 'preVote'; readonly epoch: number; readonly term: Term }
  /** The term vote: from now on the sender votes for nothing older. `lock` proves what `vote.lock` claims. */
  | {
      readonly type: 'requestVote'
      readonly epoch: number
      readonly term: Term
      readonly vote: TermVote
      readonly lock: Certificate | undefined
    }
  /** For whoever is behind. */
  | { readonly type: 'certified'; readonly certificate: Certificate }
  | { readonly type: 'termCertified'; readonly certificate: TermCertificate }
  /** The entry of that hash and those before it, down to `above`. */
  | { readonly type: 'fetch'; readonly hash: Hash; readonly above: number }
  | { readonly type: 'fetched'; readonly entries: readonly Entry[] }
  /** The sender's word for its state behind an entry. */
  | { readonly type: 'checkpoint'; readonly checkpoint: Checkpoint; readonly signature: Uint8Array }
  /** For whoever lacks what lies before it: that is not kept any more. */
  | { readonly type: 'checkpointed'; readonly certificate: CheckpointCertificate }
  /** Pages of that checkpoint, `at` and those behind it: as many as the receiver likes. */
  | { readonly type: 'fetchPages'; readonly index: Index; readonly root: Hash; readonly at: number }
  /** One of them, with the way to the root. */
  | {
      readonly type: 'page'
      readonly root: Hash
      readonly at: number
      readonly count: number
      readonly path: readonly Hash[]
      readonly bytes: Uint8Array
    }
  /** A leader's vote, shown to a member that voted for something else: one of the two can prove a lie. It counts for nothing. */
  | {
      readonly type: 'witness'
      readonly epoch: number
      readonly signer: number
      readonly phase: Phase
      readonly place: Place
      readonly signature: Uint8Array
    }
  /** Proof of a lie, as encoded. */
  | { readonly type: 'evidence'; readonly bytes: Uint8Array }
  /** For whoever is of an older epoch: how that one ended, and each since. */
  | { readonly type: 'epochs'; readonly steps: readonly Step[] }
  /** A configuration that operators signed, for whoever leads. */
  | { readonly type: 'configure'; readonly item: Uint8Array }
  /** The sender has seen a fork, and stopped: what it keeps, as encoded. */
  | { readonly type: 'forked'; readonly dump: Uint8Array }
  /** A client's request for whoever leads, as encoded. */
  | { readonly type: 'forward'; readonly requests: readonly Uint8Array[] }
