import type { Row, Sample, Subject } from './part.ts'
import { medians, type Ratio, ratio, spreads } from './statistics.ts'

/** All samples of one subject; the n-th sample belongs to the n-th round. */
export interface Series {
  readonly key: Subject['key']
  readonly samples: readonly Sample[]
}

/** A B A B: round by round, each subject once, in order. `run` makes one sample. */
export async function interleave(
  subjects: readonly Subject[],
  rounds: number,
  run: (subject: Subject, round: number) => Promise<Sample>,
): Promise<Series[]> {
  const series = subjects.map(({ key }) => ({ key, samples: [] as Sample[] }))
  for (let round = 1; round <= rounds; round++)
    for (const [i, subject] of subjects.entries()) series[i]!.samples.push(await run(subject, round))
  return series
}

/** The series as a row: its key, the median of every field, and how far the samples lie apart. */
export function row(series: Series): Row {
  return { ...series.key, ...medians(series.samples), samples: series.samples.length, spread: spreads(series.samples) }
}

/** `a` over `b` in one field. Only series of one `interleave` are pairs. */
export function compare(a: Series, b: Series, field: string): Ratio {
  return ratio(values(a, field), values(b, field))
}

/** `batch 128, storage wal` */
export function label(key: Subject['key']): string {
  return Object.entries(key)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')
}

function values(series: Series, field: string): number[] {
  return series.samples.map((sample) => sample[field] ?? Number.NaN)
}
