import type { Helper } from '../../harness/case.ts'
import type { Sample } from '../../harness/part.ts'
import type { Load } from '../load/drive.ts'
import type { WirePlan } from '../wire/wire.ts'

/** What the members are made of, and where. */
export interface Build {
  readonly storage: string
  readonly transport: string
  /** A directory of its own for each start. */
  readonly directory: string
  readonly snapshotEntries: number
  /** Where a profile of each measured window goes, if one is wanted. */
  readonly profile?: string
}

export interface Work extends Load {
  readonly request: 'put' | 'get'
  readonly consistency?: 'linearizable' | 'lease' | 'stale'
  readonly keys: number
  /** So many, over a wire that would take fewer by itself: see `shape`. */
  readonly connections?: number
  /** Requests that wait on one connection of HTTP/1.1. Absent: one. */
  readonly depth?: number
}

/** Three members as processes of this machine, whoever made them. */
export interface System {
  /** Process and directory of each member. */
  readonly members: readonly { readonly pid: number; readonly directory: string }[]
  /** Puts the keys 0 … count - 1. */
  fill(count: number): Promise<void>
  /** One load, measured; see `drive`, `watch` and `loop-delay` for the fields. */
  run(work: Work): Promise<Sample>
  standing(): Promise<Standing>
  /** Where the leader is reached by clients; absent for embedded members. */
  port?(): Promise<number>
  stop(): Promise<void>
}

/** What the members say of themselves once they agree with each other. */
export interface Standing {
  readonly term: number
  /** How many puts are in the state of every member. */
  readonly puts: number
}

/** From the start of a measured run until its end, in the words that the processes tell each other. */
export type Told =
  | { readonly type: 'edge'; readonly edge: 'begin' | 'end' }
  | { readonly type: 'answer'; readonly answer: unknown }
  | { readonly type: 'failed'; readonly reason: string }

/** Asks a case's process for something, and resolves with its answer. `edge` hears where the measured window begins and ends. */
export function ask<T>(helper: Helper, request: unknown, edge?: (edge: 'begin' | 'end') => void): Promise<T> {
  helper.tell(request)
  return hear(helper, edge)
}

/** Resolves once the process answers requests. */
export const started = (helper: Helper): Promise<void> => hear(helper)

async function hear<T>(helper: Helper, edge: (edge: 'begin' | 'end') => void = () => {}): Promise<T> {
  for (;;) {
    // What the process said when it ended says more than that it is gone.
    const told = (await Promise.race([helper.result, helper.next()])) as Told
    if (told.type === 'answer') return told.answer as T
    if (told.type === 'failed') throw new Error(told.reason)
    if (told.type === 'edge') edge(told.edge)
  }
}

/** The other side: answers one request after the other, until whoever asks is gone. */
export async function answer<T>(
  context: { next(): Promise<unknown>; tell(told: Told): void },
  reply: (request: T) => Promise<unknown>,
): Promise<never> {
  for (;;) {
    const request = (await context.next()) as T
    try {
      context.tell({ type: 'answer', answer: await reply(request) })
    } catch (error) {
      context.tell({ type: 'failed', reason: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    }
  }
}

/** Connections and requests on each for so many outstanding: as many clients as a server of that load has. */
export function shape(kind: WirePlan['kind'], outstanding: number): number {
  if (kind === 'http') return outstanding
  return outstanding <= 8 ? 1 : outstanding < 1000 ? Math.ceil(Math.sqrt(outstanding)) : Math.ceil(outstanding / 10)
}
