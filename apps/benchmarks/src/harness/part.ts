import type { CaseContext, Helper } from './case.ts'
import type { Series } from './pairs.ts'

/** One measurement: named numbers, as flat as the JSON they end in. `NaN` is a mistake and fails the part. */
export type Sample = Readonly<Record<string, number>>

/** What a child process runs: a fresh process per sample, so that no case is judged by what another taught the compiler. */
export type Case = (input: never, context: CaseContext) => Promise<Sample>

export interface Flag {
  readonly type: 'string' | 'boolean'
  /** With the default, if there is one. */
  readonly what: string
}

/** One folder of `src`. `src/parts.ts` lists it; `run` happens in the command's process, `cases` in children. */
export interface Part {
  readonly name: string
  /** The question, in one line, for `--list`. */
  readonly answers: string
  /** How long one sample takes without `--seconds`. */
  readonly seconds: number
  /** How many interleaved pairs without `--pairs`; 5 if absent. */
  readonly pairs?: number
  readonly flags?: Readonly<Record<string, Flag>>
  readonly cases: Readonly<Record<string, Case>>
  run(bench: Bench): Promise<Findings>
}

/** What a part has at hand. */
export interface Bench {
  readonly seconds: number
  readonly pairs: number
  /** A few seconds in all: fewer points, short samples; the figures say little, but everything runs. */
  readonly quick: boolean
  /** The part's own flags, as given. */
  readonly flags: Readonly<Record<string, string | boolean | undefined>>
  /** A directory of this run on the disk under test; removed at the end. */
  readonly directory: string
  /** Progress, for people, on stderr. */
  say(line: string): void
  /**
   * Runs each subject once per round, in the order given: A B A B …, each time in a fresh process with a fresh directory.
   * Rejects if a child fails, with its last words.
   */
  interleave(subjects: readonly Subject[], rounds?: number): Promise<Series[]>
  /** One case alone, in a process to talk with: for what is counted and not timed. */
  start(name: string, input: unknown): Helper
}

export interface Subject {
  /** What is measured, as the columns of its row: `{ storage: 'wal', batch: 128 }`. */
  readonly key: Readonly<Record<string, string | number>>
  /** A name in the part's `cases`, and its input (JSON). */
  readonly case: string
  readonly input: unknown
  /** Flags of node for this child. */
  readonly execArgv?: readonly string[]
  /** This subject's own time per sample. */
  readonly seconds?: number
}

/** What a part found. It is printed, written as JSON, and `report` makes the page of it. */
export interface Findings {
  readonly tables: readonly Table[]
  /** Single numbers with bars: the rows of the page's first table. */
  readonly figures: readonly Figure[]
  readonly charts?: readonly Chart[]
  /** Sentences for whoever reads the tables: how it was measured, what bounds it, what is missing. */
  readonly notes?: readonly string[]
}

export interface Table {
  readonly name: string
  readonly title: string
  readonly columns: readonly Column[]
  /** Whole rows: fields that no column shows are in the JSON all the same. */
  readonly rows: readonly Row[]
}

export interface Column {
  readonly field: string
  readonly title: string
  /** Significant digits; 3 if absent. */
  readonly digits?: number
}

/** `spread`: for each measured field, the distance of the quartiles as a share of the median. */
export type Row = Readonly<Record<string, string | number | boolean | Sample>>

/** A measure of the table, at one point. */
export interface Figure {
  /** The table's words: `storage-wal, durable records/s`. */
  readonly measure: string
  /** The point: `batch 128`. */
  readonly at?: string
  readonly beside?: string
  readonly value: number
  /** Where 95 of 100 resampled ratios of medians lie. */
  readonly low?: number
  readonly high?: number
  /** `×`, `µs`, `MB/s`; empty for a plain number. */
  readonly unit: string
  readonly must?: Bar
  readonly goal?: Bar
  /** A sentence or two for when it falls short: what bounds it, where that is shown, what was tried. */
  readonly why?: string
}

export type Bar = { readonly atLeast: number } | { readonly atMost: number }

/** Bars in groups, one bar per series; written as SVG beside the page. */
export interface Chart {
  /** Of the file: letters, digits and dashes. */
  readonly name: string
  readonly title: string
  readonly unit: string
  readonly scale: 'linear' | 'log'
  readonly groups: readonly string[]
  /** `values` in the order of `groups`; null where nothing was measured. */
  readonly series: readonly { readonly name: string; readonly values: readonly (number | null)[] }[]
}
