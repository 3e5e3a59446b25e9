import type { Found, Tally } from './slice.ts'
import type { Target } from './targets/target.ts'

/** All that a worker does. */
export const phases = [
  'making',
  'taking',
  'opening',
  'closing',
  'loading',
  'learning',
  'collecting',
  'counting',
] as const
export type Phase = (typeof phases)[number]

/** Where the parent looks what a worker is at: whatever it is, it must not last. */
export interface Window {
  /** `input`: what is taken from now on. */
  enter(phase: Phase, input?: Uint8Array): void
}

/** Of the numbers that stand before the input in what a worker shares. */
export const headBytes = 16

/** What a worker is told to do. */
export type Order =
  | {
      readonly type: 'slice'
      readonly target: string
      readonly round: string
      readonly milliseconds: number
      readonly most?: number
    }
  | { readonly type: 'replay'; readonly target: string; readonly inputs: readonly Uint8Array[] }
  | { readonly type: 'seeds'; readonly target: string }
  | { readonly type: 'grow'; readonly target: string; readonly round: string; readonly milliseconds: number }
  | { readonly type: 'coverage' }

export type Report =
  | { readonly type: 'found'; readonly found: Found }
  | {
      readonly type: 'done'
      readonly tally?: Tally
      readonly heap?: number
      readonly parsers?: Target['parsers']
      readonly coverage?: unknown
      readonly seeds?: number
    }
  | { readonly type: 'failed'; readonly error: string }

export interface WorkerInput {
  /** i32 steps begun · i32 phase · i32 length of the last input · i32 inputs begun · its bytes */
  readonly shared: SharedArrayBuffer
  /** A module that exports `targets`. */
  readonly targets: string
  readonly coverage: boolean
}
