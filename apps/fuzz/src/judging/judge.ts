import { getHeapStatistics } from 'node:v8'
import { isExpected, type Subject, type Target } from '../targets/target.ts'
import type { Allocations } from './allocations.ts'
import { objectsPolluted, pollution } from './prototypes.ts'

export type Wrong = 'crash' | 'hang' | 'disagreement' | 'pollution' | 'allocation' | 'memory'

export interface Finding {
  readonly kind: Wrong
  readonly what: string
  readonly stack?: string
}

export type Verdict = 'taken' | 'refused' | Finding

const KiB = 1024

/** What one input may cost, and what may come of it. A hang is seen from outside. */
export class Judge {
  readonly #target: Target
  readonly #allocations: Allocations
  /** The most that any input has asked for at once, or made the heap grow. */
  largest = 0
  grown = 0

  constructor(target: Target, allocations: Allocations) {
    this.#target = target
    this.#allocations = allocations
  }

  async judge(subject: Subject, input: Uint8Array): Promise<Verdict> {
    const { allowance = 64 * KiB, heapAllowance = 4096 * KiB } = this.#target
    const allocations = this.#allocations
    const before = getHeapStatistics().used_heap_size
    allocations.largest = 0
    let verdict: Verdict = 'taken'
    try {
      const taking = subject.take(input)
      if (taking instanceof Promise) await taking
    } catch (error) {
      verdict = isExpected(this.#target, error) ? 'refused' : crash(error)
    }
    const { largest } = allocations
    // A collection in between hides what was there; the next inputs will show it.
    const grown = getHeapStatistics().used_heap_size - before
    if (largest > this.largest) this.largest = largest
    if (grown > this.grown) this.grown = grown
    if (objectsPolluted()) return { kind: 'pollution', what: pollution().join(', ') }
    if (typeof verdict === 'object') return verdict
    if (largest > 64 * input.length + allowance)
      return { kind: 'allocation', what: `${largest} bytes at once for an input of ${input.length}` }
    if (grown > 1024 * input.length + heapAllowance)
      return { kind: 'allocation', what: `the heap grew by ${grown} bytes for an input of ${input.length}` }
    return verdict
  }
}

export function crash(error: unknown): Finding {
  const kind = error instanceof Error && error.name === 'Disagreement' ? 'disagreement' : 'crash'
  if (!(error instanceof Error)) return { kind, what: `thrown: ${String(error)}` }
  let stack = error.stack ?? error.message
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) stack += `\ncaused by ${cause.stack}`
  return { kind, what: `${error.name}: ${error.message}`, stack }
}
