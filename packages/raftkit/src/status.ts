import type { GroupId, Index, LinkState, NodeId, RaftkitError, Status } from '@raftkit/contract'

/** A view of a node, computed when asked for. */
export interface NodeStatus extends Status {
  readonly cluster: string
  readonly group: GroupId
  readonly state: 'running' | 'closing' | 'closed' | 'failed'
  /** Why it failed. */
  readonly error: RaftkitError | undefined
  /** The last entry the machine holds; `applied` is what the protocol has heard of that. */
  readonly machineApplied: Index
  readonly machineVersion: number
  readonly links: Readonly<Record<NodeId, LinkState>>
  /** What connected peers said of themselves. */
  readonly hellos: Readonly<Record<NodeId, { readonly incarnation: string; readonly machineVersion: number }>>
  readonly waitingCalls: number
  readonly waitingWrites: number
  /** Milliseconds; 0 if none waits. */
  readonly oldestWriteAge: number
}
