import type { Config, Membership } from './membership.ts'
import type { SignatureCheck } from './signatures.ts'
import type { Found, LogWrite } from './storage.ts'
import type { Lane, LinkState, Peer } from './transport.ts'
import type { GroupId, Index, NodeId, Run, Term } from './words.ts'

/**
 * A consensus protocol for one group: a pure, synchronous machine. `step` gathers, `take` hands out what the steps since the
 * last `take` add up to. No I/O, clock, randomness or promise: time comes with every step, I/O is asked for by effects and
 * answered by events. One runtime drives any of them.
 */
export interface Protocol<Message = unknown, Request = unknown> {
  /** `now`: milliseconds of a monotonic clock, never less than in an earlier step. Throws only when an invariant is broken: the replica must then stop. */
  step(event: ProtocolEvent<Message, Request>, now: number): void
  /** `now` as in `step`: leases count from the `take` that emitted their round. */
  take(now: number): Effects<Message>
  /** The first part is the head, which the frame's checksum covers; the others carry checksums of their own (records, snapshot bytes). */
  encode(message: Message): readonly Uint8Array[]
  /** `bytes`: all parts end to end. Throws `MALFORMED` or `UNKNOWN_FORMAT`; allocates in proportion to `bytes`. */
  decode(bytes: Uint8Array): Message
  /** What a trace says of a message. Absent: traces tell of no messages. */
  describe?(message: Message): MessageSummary
  /** What convinces whoever knows the members' keys that the record at `index` was committed; undefined: it is not, or no longer known. */
  receipt?(index: Index): Uint8Array | undefined
  /** `now` as in `step`, for how long ago something was; absent: that of the last step. */
  status(now?: number): Status
  /** A cheap copy that shares no mutable state. */
  fork(): this
  /** A canonical hash of the protocol's state, time left out; `rename` for symmetry. For the model checker. */
  digest(rename?: (id: NodeId) => NodeId): Uint8Array
}

/** A message in a trace: its kind, and the few facts by which a reader follows the protocol. Never what users put in. */
export interface MessageSummary {
  readonly kind: string
  readonly [fact: string]: string | number | boolean
}

/** Makes a protocol for one replica; `raftkit` takes core's by default. */
export interface ProtocolKind<Message = unknown, Request = unknown> {
  readonly name: string
  /** Its members sign what they say: the runtime must have `Signatures`. */
  readonly signs?: true
  /** Reads `init.found.state`. Throws `DAMAGED`, `UNKNOWN_FORMAT`, `REFUSED` (the data belongs to another node, cluster or group), `INVALID_OPTION`. */
  open(init: ProtocolInit<Request>): Opening<Message, Request>
}

/** What a replica starts from. Between `open` and `start`, the runtime restores `snapshot` and loads the log, in order. */
export interface Opening<Message = unknown, Request = unknown> {
  /** The snapshot in force: the machine must be restored from it before anything is applied. */
  readonly snapshot: SnapshotPoint | undefined
  /** The next records of the log, from `found.first` on. Verifies each; throws `DAMAGED`. */
  load(run: Run): void
  /** Call `take` right after: the first write raises the boot number, and nothing leaves before it is durable. */
  start(now: number): Protocol<Message, Request>
}

export interface ProtocolInit<Request = unknown> {
  readonly id: NodeId
  readonly address?: string
  readonly cluster: string
  readonly group: GroupId
  /** 32 random hex digits: this member's incarnation, if the log is empty. */
  readonly incarnation: string
  /** Who founds the cluster together, the node itself among them; read only while the log is empty. Absent: wait to be added. */
  readonly founders?: readonly Peer[]
  readonly found: Found
  /** 32 random bits for election timeouts. */
  readonly seed: number
  /** The largest frame the transport carries, less what the host adds to it. */
  readonly maxMessageBytes: number
  readonly membership?: Membership<Request>
  readonly timing?: Timing
  readonly limits?: Limits
  /** Public, of this node's signatures; present if the kind `signs`. */
  readonly key?: Uint8Array
  /** Milliseconds since the epoch as `open` is called, for a protocol whose entries are stamped by whoever proposes them. */
  readonly time?: number
}

/** Milliseconds. */
export interface Timing {
  /** A follower that hears nothing for one to two of these stands for election. Default 1000. */
  readonly electionTimeout?: number
  /** How often an idle leader is heard. Default a tenth of the election timeout. */
  readonly heartbeatInterval?: number
  /** A leader whose oldest write waits longer steps down. Default five election timeouts. */
  readonly diskTimeout?: number
  /** Lease reads, answered without a round while the clocks drift by less than this share (0 … 0.5). Absent: leases are off. */
  readonly leaseDrift?: number
}

export interface Limits {
  /** Largest proposal, in bytes. Default 1 MiB; never more than fits a frame. */
  readonly proposalBytes?: number
  /** Proposals beyond this many uncommitted bytes are refused `OVERLOADED`. Default 64 MiB. */
  readonly uncommittedBytes?: number
  /** Records sent to one peer and not yet acknowledged: bytes (default 8 MiB) and messages (default 256). */
  readonly inflightBytes?: number
  readonly inflightMessages?: number
  /** Applied records kept in memory for peers that lag a little. Default 16 MiB. */
  readonly cacheBytes?: number
  /** A `joining` member is promoted once it lacks at most this many entries. Default 256. */
  readonly catchUpEntries?: number
  /** Records kept behind a snapshot for slow followers. Default 10,000. */
  readonly trailingEntries?: number
}

export interface Sender {
  readonly id: NodeId
  readonly incarnation: string
}

export interface SnapshotPoint {
  readonly name: string
  readonly index: Index
  readonly term: Term
  readonly bytes: number
}

/** `id`s of proposals, changes, reads and transfers are the caller's; they come back in `settled`. Not reused within a boot. */
export type ProtocolEvent<Message = unknown, Request = unknown> =
  /** `genesis`: of the sender's cluster, as in the frame; '' while it has none. */
  | { readonly type: 'message'; readonly from: Sender; readonly genesis: string; readonly message: Message }
  | {
      readonly type: 'propose'
      readonly id: number
      readonly data: Uint8Array
      readonly time: number
      readonly seed: number
    }
  /** What a client outside signed, in the protocol's own encoding. */
  | { readonly type: 'submit'; readonly id: number; readonly request: Uint8Array; readonly time: number }
  | { readonly type: 'change'; readonly id: number; readonly request: Request; readonly time: number }
  | { readonly type: 'read'; readonly id: number; readonly consistency: 'linearizable' | 'lease' }
  /** To the voter that is furthest, if `to` is absent. */
  | { readonly type: 'transfer'; readonly id: number; readonly to?: NodeId }
  /** Stand for election now (tests, tools). */
  | { readonly type: 'campaign' }
  | { readonly type: 'link'; readonly peer: NodeId; readonly state: LinkState }
  /** The deadline has come. `stalled`: milliseconds the process stood still, which move the election deadline and nothing else; messages that waited must be stepped first. */
  | { readonly type: 'time'; readonly stalled?: number }
  /** This write and all before it are durable. */
  | { readonly type: 'durable'; readonly write: number }
  | { readonly type: 'answer'; readonly ask: number; readonly answer: Answer }
  /** The machine holds everything up to `index`. */
  | { readonly type: 'applied'; readonly index: Index }
  /** The blob is committed and holds the machine at `index`. */
  | { readonly type: 'snapshot'; readonly name: string; readonly index: Index; readonly bytes: number }

export interface Effects<Message = unknown> {
  /** Ids rise by one. Writes are issued in order, and may overlap. */
  readonly write?: { readonly id: number; readonly change: LogWrite }
  readonly messages: readonly Outgoing<Message>[]
  /** Committed records to apply, the next after the last range handed out. Without `records`, read them from the log. */
  readonly apply?: {
    readonly from: Index
    readonly to: Index
    readonly records?: readonly Uint8Array[]
    /** Whose key signed each of them, where the protocol knows: one for every index. */
    readonly clients?: readonly (Uint8Array | undefined)[]
  }
  readonly asks: readonly Ask[]
  readonly settled: readonly Settled[]
  readonly happened: readonly Happening[]
  /** When to step `time` next. Absent: idle, nothing is due. */
  readonly deadline?: number
}

export interface Outgoing<Message = unknown> {
  readonly to: NodeId
  /** Meant for this incarnation only; '' for any. */
  readonly incarnation: string
  readonly message: Message
  readonly lane: Lane
  /** Leaves once this write is durable; 0: at once. */
  readonly after: number
}

/** I/O a protocol needs done. Each is answered once, except `retain`, which has no answer. */
export type Ask =
  | {
      readonly type: 'readLog'
      readonly id: number
      readonly from: Index
      readonly to: Index
      readonly maxBytes: number
    }
  /** Some bytes of a complete blob, for a peer. */
  | {
      readonly type: 'readSnapshot'
      readonly id: number
      readonly name: string
      readonly offset: number
      readonly maxBytes: number
    }
  /** Begin a blob that is fetched from a peer, or go on with it. */
  | { readonly type: 'createSnapshot'; readonly id: number; readonly name: string }
  /** Append to that blob. */
  | { readonly type: 'writeSnapshot'; readonly id: number; readonly name: string; readonly bytes: Uint8Array }
  | { readonly type: 'commitSnapshot'; readonly id: number; readonly name: string }
  /** Write the machine down as it is when exactly `index` is applied; asked before that is handed out. The blob stays until `retain` leaves it out. */
  | { readonly type: 'takeSnapshot'; readonly id: number; readonly index: Index }
  /** Replace the machine's state, after what is being applied. */
  | { readonly type: 'restore'; readonly id: number; readonly snapshot: SnapshotPoint }
  /** All other blobs may go, except one that the runtime is writing itself. */
  | { readonly type: 'retain'; readonly id: number; readonly names: readonly string[] }
  /** With the node's own key. */
  | { readonly type: 'sign'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly type: 'verify'; readonly id: number; readonly checks: readonly SignatureCheck[] }

export type Answer =
  | { readonly type: 'readLog'; readonly run: Run }
  | { readonly type: 'readSnapshot'; readonly bytes: Uint8Array }
  /** `held`: the bytes the blob holds by now. */
  | { readonly type: 'createSnapshot' | 'writeSnapshot'; readonly held: number }
  | { readonly type: 'commitSnapshot' | 'restore' }
  | { readonly type: 'takeSnapshot'; readonly snapshot: SnapshotPoint }
  | { readonly type: 'sign'; readonly signature: Uint8Array }
  /** Whether each is a signature, in order. */
  | { readonly type: 'verify'; readonly valid: readonly boolean[] }
  /** `code` of the error: `COMPACTED`, `MISSING` and `DAMAGED` are the protocol's to handle; the runtime stops the replica for all others. */
  | { readonly type: 'failed'; readonly code: string }

export type Settled =
  /** Committed at that place; emitted no later than the `apply` that holds it. `count`: of a submitted request, how many places it takes from there on. */
  | {
      readonly type: 'committed'
      readonly id: number
      readonly index: Index
      readonly term: Term
      readonly count?: number
    }
  /** It certainly did not happen, and will not. */
  | {
      readonly type: 'refused'
      readonly id: number
      readonly code: string
      readonly reason: string
      readonly leader?: NodeId
    }
  /** It may have happened. */
  | { readonly type: 'unknown'; readonly id: number; readonly reason: string }
  /** Answer from a machine that has applied `index`; a lease read only if the clock is below `until` after the answer was computed. */
  | { readonly type: 'read'; readonly id: number; readonly index: Index; readonly until?: number }
  | { readonly type: 'transferred'; readonly id: number; readonly to: NodeId }

export type ReplicaRole = 'follower' | 'preCandidate' | 'candidate' | 'leader'

/** What happened, for logs, metrics, traces and pictures. */
export type Happening =
  | { readonly type: 'founded'; readonly genesis: string; readonly config: Config }
  | { readonly type: 'role'; readonly role: ReplicaRole; readonly term: Term; readonly reason: string }
  | { readonly type: 'leader'; readonly leader: NodeId | undefined; readonly term: Term }
  | {
      readonly type: 'vote'
      readonly to: NodeId
      readonly term: Term
      readonly granted: boolean
      readonly pre: boolean
      readonly reason: string
    }
  | { readonly type: 'commit'; readonly index: Index }
  | { readonly type: 'truncated'; readonly from: Index }
  | { readonly type: 'configuration'; readonly config: Config; readonly index: Index; readonly committed: boolean }
  | {
      readonly type: 'snapshot'
      readonly step: 'taken' | 'offered' | 'fetching' | 'installed' | 'failed'
      readonly snapshot: SnapshotPoint
      readonly peer?: NodeId
    }
  | { readonly type: 'compacted'; readonly first: Index }
  /** The peer shows less than it acknowledged: it lost its disk under the same incarnation, and is not counted any more. */
  | { readonly type: 'amnesic'; readonly peer: NodeId }
  /** A lie is proved: `evidence` convinces anyone who has the members' keys. `who`: a member, or a client's key in hex; `lie`: which kind; `what`: a sentence. */
  | {
      readonly type: 'accused'
      readonly who: NodeId
      readonly lie: string
      readonly what: string
      readonly evidence: Uint8Array
    }
  /** Certificates contradict each other: more than f members lie, and this one commits nothing more. `dump`: what `from` keeps, to find out who. */
  | { readonly type: 'forked'; readonly from: NodeId; readonly dump: Uint8Array }
  /** Newer members say that this node is none of them. */
  | { readonly type: 'removed' }
  /** A message was ignored that should not have come. */
  | { readonly type: 'ignored'; readonly from: NodeId; readonly reason: string }

/** A view of one replica, computed when asked for. */
export interface Status {
  readonly id: NodeId
  readonly incarnation: string
  readonly boot: number
  /** 32 hex digits, the same on all members; '' before founding. */
  readonly genesis: string
  readonly role: ReplicaRole
  readonly term: Term
  readonly leader: NodeId | undefined
  readonly commit: Index
  readonly applied: Index
  readonly first: Index
  readonly last: Index
  readonly durable: Index
  readonly config: Config
  readonly configIndex: Index
  readonly configCommitted: boolean
  /** This node is in none of the configurations it knows to be committed. */
  readonly removed: boolean
  /** Where members sign: certificates contradict each other, and this node commits nothing any more. */
  readonly forked?: boolean
  readonly snapshot: SnapshotPoint | undefined
  readonly uncommittedBytes: number
  /** How far each peer is: on the leader; where members sign, on all of them, as far as each hears. */
  readonly peers: readonly PeerStatus[]
}

export interface PeerStatus {
  readonly id: NodeId
  readonly incarnation: string
  readonly state: 'probe' | 'replicate' | 'snapshot'
  /** The last entry known to be durable there; where members sign, the last known here that it voted for. */
  readonly match: Index
  readonly next: Index
  /** Milliseconds since it was last heard, or undefined. */
  readonly silentFor: number | undefined
  readonly amnesic: boolean
  /** Where members sign. */
  readonly conduct?: PeerConduct
}

/** What one member holds of another. Everything is as this member saw it since it started, in this epoch. */
export interface PeerConduct {
  /** The one it last spoke in; undefined: it has not. */
  readonly term: Term | undefined
  /** What it did that proves nothing, by kind: how often. The network or a slow disk may be to blame. */
  readonly oddities: Readonly<Record<string, number>>
  /** A lie of it is proved, and that is committed. */
  readonly convicted: boolean
}
