import type { Limits, Membership, NodeId } from '@raftkit/contract'

/** What may be done to the servers and the network, and how often in one run. Absent: never. At most 15 each. */
export interface Budgets {
  /** A server that does not lead hears of nobody for as long as it takes, and its election timer fires. */
  readonly timeout?: number
  /** A server is told to stand for election: no pre-vote. */
  readonly campaign?: number
  /** A leader's timer fires: heartbeats. */
  readonly heartbeat?: number
  /** A leader hears of nobody for an election timeout: CheckQuorum. */
  readonly silence?: number
  /** A retry interval passes: what was sent is taken for lost, and asked for again. */
  readonly retry?: number
  /** The process ends; the disk keeps the writes that were flushed, and some of those under way, from the first on. */
  readonly crash?: number
  readonly propose?: number
  readonly read?: number
  readonly change?: number
  readonly transfer?: number
  readonly snapshot?: number
  /** A message is delivered, and stays to be delivered again. */
  readonly duplicate?: number
  /** A message is lost, and makes room in its channel. Where channels hold any number, a message that is never delivered is a lost one. */
  readonly loss?: number
}

export type BudgetName = keyof Budgets

/** A replicated program over texts: enough to see what was applied. */
export interface Machine {
  readonly empty: string
  apply(state: string, command: string, index: number): { readonly state: string; readonly answer: string }
  /** What is wrong with a state, if anything. */
  wrong?(state: string): string | undefined
}

/** A bounded world: who is there, what may happen, and how often. */
export interface Scope {
  readonly name: string
  /** What it is about, in a sentence. */
  readonly about: string
  readonly servers: readonly NodeId[]
  /** Those of them that found the cluster; the others wait to be added. Default: all. */
  readonly founders?: readonly NodeId[]
  readonly budgets: Budgets
  /** No server goes beyond this term, no log beyond this index. */
  readonly term: number
  readonly last?: number
  readonly membership?: Membership<never>
  readonly limits?: Limits
  /** Of the transport. Default 64 KiB. */
  readonly maxMessageBytes?: number
  /** Writes become durable at once, so that crashes lose none. Default: each flush is a step of its own. */
  readonly flushesAtOnce?: boolean
  /** A voter that is asked has not heard its leader for an election timeout: `true` saves the step of waiting that long. */
  readonly impatient?: boolean
  /** Every message may be delivered any number of times. Default: once, but for the duplicates in the budget. */
  readonly redelivers?: boolean
  /** So many messages may be under way from one server to another; one more is lost. Default: any number. */
  readonly channel?: number
  /** Ids that may be exchanged for each other. Default: all. */
  readonly symmetric?: readonly (readonly NodeId[])[]
  /** Begin with the first server as leader of term 2, whose first entry is committed everywhere. Default: just founded, term 1, no leader. */
  readonly isLed?: boolean
  /** What has happened before the exploration begins; all messages of it are lost but those of the last. */
  readonly prelude?: readonly Prelude[]
  /** What is proposed, in order. Default `a`, `b`, `c` … */
  readonly commands?: readonly string[]
  /** Where things are proposed, changed and read: at servers that lead, or at any. Default: leaders. */
  readonly clientsAt?: 'leaders' | 'all'
  readonly changes?: readonly unknown[]
  readonly machine?: Machine
  /** What a budget-limited run is cut at, if the command line says nothing. */
  readonly states?: number
}

/** A proposal that no other server hears of; or an election that two servers see, and nobody else hears of. */
export type Prelude =
  | { readonly propose: NodeId; readonly command: string }
  | { readonly elect: NodeId; readonly by: NodeId }

/** Remembers every command. */
export const everything: Machine = {
  empty: '',
  apply: (state, command) => ({ state: state === '' ? command : `${state},${command}`, answer: command }),
}
