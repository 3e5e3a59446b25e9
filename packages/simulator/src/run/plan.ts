import { RaftkitError } from '@raftkit/contract'
import type { NodeOptions } from 'raftkit'
import type { Wear } from '../world/disk/wear.ts'
import type { NetworkOptions } from '../world/network/network.ts'
import type { Weather } from '../world/network/weather.ts'
import type { StorageKind } from '../world/world.ts'
import { type ActKind, actKinds } from './acts/kinds.ts'

/**
 * Everything that a run decides in advance. The seed draws it (`drawPlan`), shrinking leaves parts of it out, and a file can hold it:
 * the same plan is the same run.
 */
export interface Plan {
  readonly version: 1
  /** Also of all chance within the run. */
  readonly seed: number
  /** How long the safety phase is. */
  readonly events: number
  /** `n1` … found the cluster. */
  readonly founders: number
  /** Servers that may be added later. */
  readonly spares: number
  readonly node: NodePlan
  /** How fast each server's clock goes at first, founders first; 1 is true. */
  readonly rates: readonly number[]
  readonly network: NetworkOptions
  readonly weather: Partial<Weather>
  readonly wear: Partial<Wear>
  /** Default `virtual`. */
  readonly storage?: StorageKind
  /** What is done to the cluster, in order of `at`. Every kind in it must happen before the safety phase ends, or the run fails. */
  readonly acts: readonly Act[]
  readonly workload: WorkloadPlan
  /** Somebody reads `node.events()` of every node, and pauses for up to so many milliseconds now and then. */
  readonly listen?: { readonly buffer: number; readonly pause: number }
}

/** Options of `createNode` that are the same on all servers. */
export type NodePlan = Required<Pick<NodeOptions<never>, 'timing' | 'limits' | 'snapshots' | 'sessions' | 'timeout'>> &
  Pick<NodeOptions<never>, 'leases' | 'closeTimeout'>

/** One thing done to the cluster: a fault, a change of its members, a request of its operator. */
export interface Act {
  /** Not before so many events; later, if it can not be done then. */
  readonly at: number
  readonly kind: ActKind
  /** Seeds the choice of whom it hits, and how. */
  readonly pick: number
  /** Milliseconds it lasts, where it lasts. */
  readonly lasts: number
}

export interface WorkloadPlan {
  readonly clients: number
  /** Operations of a client at most; it waits between two for up to `pause` milliseconds. */
  readonly operations: number
  readonly pause: number
  readonly keys: number
  /** Who holds the sessions of exactly-once: the nodes (`node.commands`), or the clients themselves, who try other nodes. */
  readonly sessions: 'node' | 'client'
  /** Weights. */
  readonly mix: Readonly<Record<OperationKind, number>>
  /** The share of operations that are given up after a random while. */
  readonly aborts: number
  /** Shares of the safety phase during which no client begins anything. */
  readonly quiet: readonly (readonly [number, number])[]
  /** Operations that shrinking left out: client and number, `c2:17`. */
  readonly without?: readonly string[]
}

export const operationKinds = ['put', 'cas', 'erase', 'refuse', 'fill', 'once', 'get', 'lease', 'stale'] as const
export type OperationKind = (typeof operationKinds)[number]

export const serverId = (number: number): string => `n${number}`

export const planServers = (plan: Plan): string[] =>
  Array.from({ length: plan.founders + plan.spares }, (_, i) => serverId(i + 1))

/** Throws `INVALID_OPTION` for a file that holds no plan of this version. */
export function readPlan(text: string): Plan {
  const bad = (why: string, cause?: unknown): RaftkitError =>
    new RaftkitError('INVALID_OPTION', `this is no plan of a run: ${why}; give a file that --save wrote`, { cause })
  let plan: Plan
  try {
    plan = JSON.parse(text) as Plan
  } catch (cause) {
    throw bad('it is not JSON', cause)
  }
  if (plan?.version !== 1) throw bad('its version is not 1')
  const whole = (value: unknown, least: number, most: number): boolean =>
    Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most
  if (!whole(plan.seed, 0, 2 ** 53 - 1) || !whole(plan.events, 1, 1e9)) throw bad('seed or events')
  if (!whole(plan.founders, 1, 7) || !whole(plan.spares, 0, 7)) throw bad('founders or spares')
  if (!Array.isArray(plan.acts) || !plan.acts.every((act) => actKinds.includes(act.kind))) throw bad('acts')
  if (!Array.isArray(plan.rates) || plan.rates.length < plan.founders + plan.spares) throw bad('rates')
  for (const part of ['node', 'network', 'weather', 'wear', 'workload'] as const)
    if (typeof plan[part] !== 'object' || plan[part] === null) throw bad(part)
  return plan
}
