/** Who commits it. `network`: nobody need lie. */
export type Culprit = 'leader' | 'member' | 'client' | 'network' | 'disk' | 'clock' | 'application' | 'operator'

export type FaultName =
  | 'F1'
  | 'F2'
  | 'F3'
  | 'F4'
  | 'F5'
  | 'F6'
  | 'F7'
  | 'F8'
  | 'F9'
  | 'F10'
  | 'F11'
  | 'F12'
  | 'F13'
  | 'F14'
  | 'F15'
  | 'F16'
  | 'F17'
  | 'F18'
  | 'F19'
  | 'F20'
  | 'F21'
  | 'F22'
  | 'F23'
  | 'F24'
  | 'F25'
  | 'F26'
  | 'F27'
  | 'F28'
  | 'F29'
  | 'F30'
  | 'F31'
  | 'F32'
  | 'F33'
  | 'F34'
  | 'F35'
  | 'F36'
  | 'F37'
  | 'F38'
  | 'F39'
  | 'F40'
  | 'F41'
  | 'F42'
  | 'F43'
  | 'F44'
  | 'F45'
  | 'F46'

export interface Fault {
  readonly by: Culprit
  readonly what: string
  /** Why it can not be committed in this protocol, or not here. Absent: a campaign that never did it proves nothing. */
  readonly not?: string
}

/** The catalogue of bft-raft §4, under its numbers. */
export const faults: Readonly<Record<FaultName, Fault>> = {
  F1: { by: 'leader', what: 'different batches for one term and index to two halves' },
  F2: { by: 'leader', what: 'the same, and the halves meet only after the term changed' },
  F3: { by: 'leader', what: 'a fork within a term: this index to some, the next one on another branch to others' },
  F4: { by: 'member', what: 'append votes for two entries' },
  F5: { by: 'member', what: 'a commit vote without an append certificate' },
  F6: { by: 'member', what: 'a term vote that hides the lock' },
  F7: { by: 'member', what: 'a lock that nothing proves, or the certificate of an older term under a newer one' },
  F8: { by: 'leader', what: 'the highest term vote is left out of the certificate' },
  F9: { by: 'leader', what: 'a first entry that does not stand on what the term certificate binds to' },
  F10: { by: 'leader', what: 'a term certificate of one signer twice, of another term, of nobody, of another epoch' },
  F11: { by: 'member', what: 'what was said in older terms, once more' },
  F12: { by: 'member', what: 'signatures of another cluster or epoch' },
  F13: { by: 'member', what: 'flipped bits in signatures, and wrong signers' },
  F14: {
    by: 'member',
    what: 'edge encodings of Ed25519',
    not: 'signatures are stand-ins here; keys are admitted by @raftkit/ed25519, whose tests hold the vectors',
  },
  F15: { by: 'leader', what: 'an operation that no client signed' },
  F16: { by: 'client', what: 'one number for two operations, to different members' },
  F17: { by: 'client', what: "another client's name" },
  F18: { by: 'client', what: 'requests to followers alone, or to f + 1 members' },
  F19: { by: 'client', what: 'floods, oversized operations, sessions without end' },
  F20: { by: 'leader', what: 'one request twice, in a batch and in two' },
  F21: { by: 'leader', what: 'wrong parents, gaps, other order, other kinds' },
  F22: { by: 'leader', what: 'an entry in place of a committed one' },
  F23: { by: 'member', what: 'lies about what is certified, and about what is fetched' },
  F24: { by: 'member', what: 'votes for what nobody proposed, at every index' },
  F25: { by: 'leader', what: 'silence from the start of its term' },
  F26: { by: 'leader', what: 'signs of life and no proposals' },
  F27: { by: 'leader', what: 'every batch just before it is suspected' },
  F28: { by: 'leader', what: 'one client is never served' },
  F29: { by: 'leader', what: 'messages for a quorum and nobody else' },
  F30: { by: 'leader', what: 'headers without their bodies' },
  F31: { by: 'member', what: 'commit votes for one member alone, then another term' },
  F32: { by: 'member', what: 'suspicions and term votes without end, with huge terms' },
  F33: { by: 'member', what: 'it leads without being the leader' },
  F34: { by: 'leader', what: 'f silent leaders in a row, and a network that loses messages' },
  F35: { by: 'leader', what: 'a configuration that no operator signed' },
  F36: { by: 'leader', what: 'an entry behind a configuration, in the old epoch' },
  F37: { by: 'member', what: 'votes in an epoch that has ended or not begun' },
  F38: { by: 'member', what: 'old certificates, and half of how the epochs went, for one who joins' },
  F39: { by: 'member', what: 'snapshots that are damaged, mixed or old' },
  F40: { by: 'member', what: 'wrong replies to clients' },
  F41: { by: 'application', what: 'a machine that computes something else on each member' },
  F42: { by: 'member', what: 'bytes that are no message' },
  F43: { by: 'operator', what: 'two members with one key (Twins)' },
  F44: { by: 'disk', what: 'crashes between promise, write and word; a write that is lost' },
  F45: { by: 'clock', what: 'clocks that jump, members that freeze' },
  F46: { by: 'member', what: 'more liars than the protocol stands, and a partition' },
}

/** Lies about epochs: a campaign in which they were told of epochs that nobody ever came to proves little. */
export const epochFaults: readonly FaultName[] = ['F12', 'F35', 'F36', 'F37', 'F38']

export const faultNames: readonly FaultName[] = Object.keys(faults) as FaultName[]
