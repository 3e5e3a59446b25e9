import type { Sample } from './part.ts'

/** The value below which `share` of them lie, between neighbours in proportion. */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) return Number.NaN
  const sorted = [...values].sort((a, b) => a - b)
  const place = share * (sorted.length - 1)
  const below = Math.floor(place)
  const low = sorted[below]!
  return low + (place - below) * ((sorted[below + 1] ?? low) - low)
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** Distance of the quartiles as a share of the median: how much the samples disagree. */
export function spread(values: readonly number[]): number {
  const middle = median(values)
  return middle === 0 ? 0 : (quantile(values, 0.75) - quantile(values, 0.25)) / Math.abs(middle)
}

/** For every field. Samples of one series have the same fields. */
export function medians(samples: readonly Sample[]): Sample {
  return each(samples, median)
}

export function spreads(samples: readonly Sample[]): Sample {
  return each(samples, spread)
}

function each(samples: readonly Sample[], of: (values: number[]) => number): Sample {
  const fields = Object.keys(samples[0] ?? {})
  return Object.fromEntries(fields.map((field) => [field, of(samples.map((sample) => sample[field] ?? Number.NaN))]))
}

export interface Ratio {
  readonly value: number
  /** Where 95 of 100 resampled ratios lie. */
  readonly low: number
  readonly high: number
  readonly pairs: number
}

const resamples = 2000

/**
 * Ratio of medians of `a` over `b`, with a percentile bootstrap interval. Rounds are drawn, not values:
 * what slowed the machine for a round slowed both sides of it. The draws are always the same.
 */
export function ratio(a: readonly number[], b: readonly number[]): Ratio {
  if (a.length !== b.length || a.length === 0) throw new Error(`${a.length} and ${b.length} samples are no pairs`)
  const pairs = a.length
  const draw = draws(pairs)
  const ratios = Array.from({ length: resamples }, () => {
    const rounds = Array.from({ length: pairs }, draw)
    return median(rounds.map((round) => a[round]!)) / median(rounds.map((round) => b[round]!))
  })
  return {
    value: median(a) / median(b),
    low: quantile(ratios, 0.025),
    high: quantile(ratios, 0.975),
    pairs,
  }
}

/** Integers below `bound`, from a linear congruential generator (Numerical Recipes' constants). */
function draws(bound: number): () => number {
  let state = 42
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * bound)
  }
}
