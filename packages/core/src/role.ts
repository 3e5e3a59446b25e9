import type { Index, NodeId, Sender } from '@raftkit/contract'
import type { Progress, Round } from './progress.ts'
import type { PendingRead } from './reads.ts'

/** What a server is (§5.1, Figure 4), with the state that belongs to it and goes with it. */
export type Role = Follower | Candidate | Leader

export class Follower {
  readonly type = 'follower'
  /** The log is known to equal that of this term's leader up to here. What is committed equals every leader's. */
  verified: Index
  /** The highest round the leader sent. */
  round = 0
  /** The leader waits for an answer. */
  owesAnswer = false
  /** The `match` it was last told. */
  told: Index = 0

  constructor(verified: Index) {
    this.verified = verified
  }

  fork(): Follower {
    return Object.assign(new Follower(this.verified), this)
  }
}

/** Stands for election, or, as `preCandidate`, asks whether it would win (thesis §9.6). */
export class Candidate {
  readonly type: 'preCandidate' | 'candidate'
  readonly ballot: number
  readonly granted: Set<string> = new Set()
  readonly refused: Set<string> = new Set()

  constructor(type: 'preCandidate' | 'candidate', ballot: number) {
    this.type = type
    this.ballot = ballot
  }

  fork(): Candidate {
    const copy = new Candidate(this.type, this.ballot)
    for (const key of this.granted) copy.granted.add(key)
    for (const key of this.refused) copy.refused.add(key)
    return copy
  }
}

export interface Transfer {
  readonly id: number
  /** The server that asked for it; undefined: this one. */
  readonly from: Sender | undefined
  readonly target: Sender
  readonly until: number
  sent: boolean
}

export class Leader {
  readonly type = 'leader'
  /** Index of the no-op of this term. Only from here on does counting commit (§5.4.2), and only then are reads and changes served. */
  readonly noop: Index
  readonly progress: Map<string, Progress> = new Map()
  /** Number of the last round sent. */
  round = 0
  /** When rounds began that are not older than what a quorum confirmed. */
  rounds: Round[] = []
  reads: PendingRead[] = []
  /** A read waits for a round that begins after it. */
  wantsRound = false
  transfer: Transfer | undefined
  /** Once a voter was told to stand at once, its election does not wait for our lease: no leases for the rest of this term. */
  leasesLost = false
  uncommittedBytes = 0

  constructor(noop: Index) {
    this.noop = noop
  }

  progressOf(member: Sender): Progress | undefined {
    // A handful: comparing is cheaper than making a key.
    for (const progress of this.progress.values()) if (sameSender(progress.member, member)) return progress
    return undefined
  }

  *progressById(id: NodeId): Generator<Progress> {
    for (const progress of this.progress.values()) if (progress.member.id === id) yield progress
  }

  fork(): Leader {
    const copy = new Leader(this.noop)
    Object.assign(copy, this)
    return Object.assign(copy, {
      progress: new Map([...this.progress].map(([key, progress]) => [key, progress.fork()])),
      rounds: this.rounds.slice(),
      reads: this.reads.slice(),
      transfer: this.transfer && { ...this.transfer },
    })
  }
}

/** Votes are for a pair: an id that lost its disk is not the one that was voted for. */
export const sameSender = (a: Sender | undefined, b: Sender | undefined): boolean =>
  a?.id === b?.id && a?.incarnation === b?.incarnation
