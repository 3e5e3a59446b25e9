import { availableParallelism } from 'node:os'
import { parentPort, Worker } from 'node:worker_threads'
import type { BftWishes } from '../bft/plan.ts'
import { carryOutSeed } from '../bft/run.ts'
import { allInvariants } from '../invariants/index.ts'
import { Tracer } from '../trace/index.ts'
import type { Violation } from '../watcher.ts'
import type { Plan } from './plan.ts'
import { runPlan } from './simulate.ts'
import { planFor, type Wishes } from './wishes.ts'

/** What is left of a run, fit to be sent between threads. */
export interface Outcome {
  readonly seed: number
  readonly events: number
  readonly simulatedMs: number
  /** Of the thread that ran it, in milliseconds. */
  readonly tookMs: number
  readonly traceHash: string
  readonly violation?: {
    readonly invariant: string
    readonly message: string
    readonly stack: string
    readonly details: string
  }
  readonly uncovered: readonly string[]
  readonly faults: Readonly<Record<string, number>>
  readonly counts: Readonly<Record<string, number>>
  readonly checked: number
  readonly acknowledged: number
  readonly lost: number
  /** How many operations each client began. */
  readonly begun: readonly number[]
  /** Election timeouts from the end of all faults until all members were equal. */
  readonly convergence?: number
}

/** Runs one plan under all invariants. `write` gets every line of the trace. */
export async function carryOut(plan: Plan, write?: (line: string) => void): Promise<Outcome> {
  const began = performance.now()
  const trace = new Tracer(write && { write })
  const result = await runPlan(plan, [trace, ...allInvariants()], (world, broken) => trace.end(world, broken))
  const { violation, convergence, faults, counts, ...rest } = result
  return {
    ...rest,
    tookMs: performance.now() - began,
    traceHash: trace.hash,
    faults: Object.fromEntries(faults),
    counts: Object.fromEntries(counts),
    ...(violation && { violation: told(violation) }),
    ...(convergence !== undefined && { convergence }),
  }
}

export const failed = ({ violation, uncovered }: Outcome): boolean => violation !== undefined || uncovered.length > 0

function told(violation: Violation): NonNullable<Outcome['violation']> {
  const { invariant, message, details } = violation
  const cause = violation.cause instanceof Error ? violation.cause : violation
  return { invariant, message, stack: cause.stack ?? '', details: shown(details) }
}

/** Details may hold anything, the world among it. */
function shown(details: unknown): string {
  const seen = new Set<unknown>()
  const text = JSON.stringify(
    details,
    (key, value) => {
      if (key === 'world' || key === 'server' || typeof value === 'function') return undefined
      if (typeof value === 'bigint') return String(value)
      if (value instanceof Uint8Array) return `${value.length} bytes`
      if (value instanceof Error) return String(value)
      if (value instanceof Map) return Object.fromEntries(value)
      if (typeof value !== 'object' || value === null) return value
      if (seen.has(value)) return '…'
      seen.add(value)
      return value
    },
    1,
  )
  return (text ?? '').slice(0, 10_000)
}

interface Job {
  readonly seed: number
  readonly wishes: Wishes | BftWishes
}

/** In a worker of `campaign`: carries out what it is sent. */
export function serveCampaign(): void {
  // Refusals are daily bread here, and their stacks a twentieth of all work. A run that fails is looked at again, with stacks.
  Error.stackTraceLimit = 0
  parentPort!.on('message', ({ seed, wishes }: Job) => {
    const running = 'protocol' in wishes ? carryOutSeed(seed, wishes) : carryOut(planFor(seed, wishes))
    void running.then((outcome) => parentPort!.postMessage(outcome))
  })
}

export interface CampaignOptions {
  readonly from: number
  readonly seeds: number
  readonly wishes: Wishes | BftWishes
  readonly workers?: number | undefined
  /** The file that a worker runs: it must call `serveCampaign` when it is not the main thread. */
  readonly entry: URL
  /** `'enough'`: no other seed is begun. */
  readonly ended: (outcome: Outcome) => 'enough' | undefined
}

/** Many seeds, on one thread per core. Resolves when all are through; a seed that fails does not end it. */
export async function campaign({ from, seeds, wishes, entry, ended, ...options }: CampaignOptions): Promise<void> {
  const workers = Math.min(options.workers ?? availableParallelism(), seeds)
  let next = from
  const work = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(entry)
      const more = (): void => {
        if (next < from + seeds) worker.postMessage({ seed: next++, wishes } satisfies Job)
        else void worker.terminate().then(() => resolve())
      }
      worker.on('message', (outcome: Outcome) => {
        if (ended(outcome) === 'enough') next = from + seeds
        more()
      })
      worker.on('error', reject)
      more()
    })
  await Promise.all(Array.from({ length: workers }, work))
}
