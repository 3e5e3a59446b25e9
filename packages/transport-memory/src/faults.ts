import type { Lane, NodeId } from '@raftkit/contract'
import { RaftkitError } from '@raftkit/contract'

/** What happens to frames on their way. Probabilities are between 0 and 1, for each frame by itself. */
export interface Weather {
  /** Probability that a frame vanishes. */
  readonly loss: number
  /** Probability that a frame arrives twice. */
  readonly duplicate: number
  /** Probability that a frame changes places with one that is still on its way in the same lane. */
  readonly reorder: number
  /** Milliseconds on the way, one way; a range is drawn from for each frame. Order is kept all the same. */
  readonly delay: number | readonly [least: number, most: number]
}

/** What to do with one frame. `hold`: keep it, in its place, until `release()`. */
export type Verdict = 'pass' | 'drop' | 'hold'
export type Filter = (from: NodeId, to: NodeId, frame: Uint8Array, lane: Lane) => Verdict

export const fair: Weather = { loss: 0, duplicate: 0, reorder: 0, delay: 0 }

export function checkWeather(weather: Weather): Weather {
  for (const name of ['loss', 'duplicate', 'reorder'] as const) {
    const rate = weather[name]
    if (!(typeof rate === 'number' && rate >= 0 && rate <= 1))
      throw new RaftkitError('INVALID_OPTION', `${name} is a probability between 0 and 1, not ${String(rate)}`)
  }
  const [least, most] = range(weather.delay)
  if (!(Number.isFinite(most) && least >= 0 && most >= least))
    throw new RaftkitError(
      'INVALID_OPTION',
      `delay is in milliseconds, a number or [least, most], not ${weather.delay}`,
    )
  return weather
}

export function drawDelay({ delay }: Weather, random: () => number): number {
  const [least, most] = range(delay)
  return least === most ? least : least + random() * (most - least)
}

function range(delay: Weather['delay']): readonly [number, number] {
  return typeof delay === 'number' ? [delay, delay] : delay
}

/** Who hears whom. Nodes may be named before they exist. */
export class Topology {
  readonly #cuts = new Set<string>()
  readonly #isolated = new Set<NodeId>()
  #group: ReadonlyMap<NodeId, number> | undefined

  cut(from: NodeId, to: NodeId): void {
    this.#cuts.add(JSON.stringify([from, to]))
  }

  isolate(id: NodeId): void {
    this.#isolated.add(id)
  }

  /** Replaces the partition before it. Nodes that no group names are a group of their own. */
  partition(groups: readonly (readonly NodeId[])[]): void {
    this.#group = new Map(groups.flatMap((group, number) => group.map((id) => [id, number] as const)))
  }

  heal(): void {
    this.#cuts.clear()
    this.#isolated.clear()
    this.#group = undefined
  }

  passes(from: NodeId, to: NodeId): boolean {
    if (this.#isolated.has(from) || this.#isolated.has(to)) return false
    if (this.#group && this.#group.get(from) !== this.#group.get(to)) return false
    return this.#cuts.size === 0 || !this.#cuts.has(JSON.stringify([from, to]))
  }
}
