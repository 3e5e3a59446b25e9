import type { Index, LinkState, Member, Sender } from '@raftkit/contract'
import type { Slice } from './log.ts'

/** One name for a member under one incarnation: after a wipe, the same id is another member. */
export const memberKey = ({ id, incarnation }: Sender): string => `${id}/${incarnation}`

/** Records that were asked of the disk for a peer, and have come. */
export interface Loaded extends Slice {
  readonly from: Index
}

/**
 * What the leader knows of one peer (Figure 2: nextIndex, matchIndex). Invariant: `0 ≤ match < next`, and `match ≤ received`.
 *
 * - `probe`: where the logs agree is not known; one message at a time, until one is accepted.
 * - `replicate`: `next` runs ahead of `match` by what is in flight, within a window.
 * - `snapshot`: the log no longer holds what the peer needs; it was offered the snapshot.
 */
export class Progress {
  member: Member
  state: 'probe' | 'replicate' | 'snapshot' = 'probe'
  /** Durable on the peer up to here. Rises only. */
  match: Index = 0
  next: Index
  /** In the peer's memory up to here. */
  received: Index = 0
  /** The round whose answer told so: a later one that tells of less is news of a crash. */
  receivedRound = 0
  /** The highest round the peer echoed: it followed this leader when it had that message. */
  round = 0
  /** Rounds up to this one were sent to an earlier life of this peer in the configuration; their answers mean nothing now. */
  readonly firstRound: number
  /** Rounds up to this one were sent before `match` was known. An answer to a later one that shows less is amnesia. */
  matchRound = 0
  /** The peer lost what it acknowledged under the same incarnation. It is not counted, and nothing is sent to it. */
  amnesic = false
  /** When it was last heard. */
  contact: number
  /** When a message last left for it. */
  sent: number = Number.NEGATIVE_INFINITY
  /** When a heartbeat last left for it: unlike records, which may queue on a slow link, it shows in time that the leader leads. */
  beat: number
  /** When something last arrived that shows what was sent did arrive. */
  moved: number
  /** The commit index it was last told. */
  toldCommit: Index = 0
  link: LinkState = 'up'
  /** The read of the log under way for it. */
  reading: number | undefined
  loaded: Loaded | undefined
  /** Last index and size of each message of records in flight. */
  inflight: { readonly last: Index; readonly bytes: number }[] = []
  inflightBytes = 0

  constructor(member: Member, next: Index, round: number, now: number) {
    this.member = member
    this.next = next
    this.firstRound = round
    this.matchRound = round
    this.contact = now
    this.beat = now
    this.moved = now
  }

  /** Durable on the peer up to `match`; `round`: the last one sent so far. */
  acknowledge(match: Index, round: number): void {
    if (match <= this.match) return
    this.match = match
    this.matchRound = round
    this.next = Math.max(this.next, match + 1)
    while (this.inflight.length > 0 && this.inflight[0]!.last <= match)
      this.inflightBytes -= this.inflight.shift()!.bytes
  }

  /** Every change of state starts with an empty window, so that no count can leak (etcd-io/raft#54). */
  become(state: Progress['state'], next: Index): void {
    this.state = state
    this.next = Math.max(next, this.match + 1)
    this.inflight = []
    this.inflightBytes = 0
    this.reading = undefined
    this.loaded = undefined
    this.sent = Number.NEGATIVE_INFINITY
  }

  launch(last: Index, bytes: number): void {
    this.inflight.push({ last, bytes })
    this.inflightBytes += bytes
    this.next = last + 1
  }

  fork(): Progress {
    const copy = new Progress(this.member, this.next, this.firstRound, this.contact)
    Object.assign(copy, this)
    copy.inflight = this.inflight.slice()
    return copy
  }
}

/** Where a leader's rounds began, so that an echo tells when the leader was last known to lead. */
export interface Round {
  readonly round: number
  readonly at: number
}
