import { type Command, RaftkitError } from '@raftkit/contract'
import type { AnyMachine } from '../src/machine.ts'
import { type ReplicatedMachine, replicate } from '../src/replicate.ts'
import type { VirtualWorld } from './virtual-world.ts'

/** Chances, 0 … 1, and the longest delay in milliseconds. */
export interface Weather {
  readonly refused: number
  readonly lost: number
  readonly duplicated: number
  readonly replyLost: number
  readonly error: number
  readonly delay: number
}

export const calm: Weather = { refused: 0, lost: 0, duplicated: 0, replyLost: 0, error: 0, delay: 1 }

const refusals = ['NO_LEADER', 'NOT_LEADER', 'OVERLOADED', 'TRANSFERRING', 'SUPERSEDED'] as const

/** A log in memory with a machine behind it, and a network in front that loses, repeats, delays and reorders as a seed says. */
export class Sequencer {
  readonly log: Command[] = []
  readonly machine: ReplicatedMachine
  weather: Weather = calm
  placements = 0
  /** Told before an entry is applied; may apply entries of its own. */
  onPlace: (data: Uint8Array) => void = () => {}
  readonly #world: VirtualWorld

  constructor(world: VirtualWorld, definition: AnyMachine) {
    this.#world = world
    this.machine = replicate(definition)
  }

  /** Appends and applies at once. */
  place(data: Uint8Array): Uint8Array {
    this.placements++
    this.onPlace(data)
    const seed = Math.floor(this.#world.next() * 2 ** 32)
    const command = { index: this.log.length + 1, time: this.#world.wall(), seed, data }
    this.log.push(command)
    return this.machine.apply([command])[0]!
  }

  readonly propose = (data: Uint8Array, signal: AbortSignal): Promise<Uint8Array> =>
    new Promise((resolve, reject) => {
      const { weather } = this
      const world = this.#world
      const chance = (of: number): boolean => world.next() < of
      const delay = (): number => world.next() * weather.delay
      signal.addEventListener(
        'abort',
        () => reject(new RaftkitError('ABORTED', 'nobody waits', { outcome: 'unknown' })),
        {
          once: true,
        },
      )
      if (chance(weather.refused)) {
        const code = refusals[Math.floor(world.next() * refusals.length)]!
        world.after(delay(), () => reject(new RaftkitError(code, 'try again', { outcome: 'refused' })))
        return
      }
      const copies = chance(weather.lost) ? 0 : chance(weather.duplicated) ? 2 : 1
      for (let copy = 0; copy < copies; copy++)
        world.after(delay(), () => {
          const result = this.place(data)
          if (!chance(weather.replyLost)) world.after(delay(), () => resolve(result))
        })
      // The link breaks: an error, though a copy may still be on its way.
      if (chance(weather.error))
        world.after(delay(), () =>
          reject(new RaftkitError('UNKNOWN_OUTCOME', 'the leader is gone', { outcome: 'unknown' })),
        )
    })
}
