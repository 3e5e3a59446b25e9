import { Random } from '../random.ts'

/** Everything that is done to a cluster. Each family has a track of its own: one fault at a time per track, several at a time in all. */
export const families = {
  processes: [
    'kill-leader',
    'kill-follower',
    'kill-majority',
    'kill-all',
    'restart-leader',
    'pause-leader',
    'pause-follower',
    'pause-majority',
  ],
  network: ['mute-leader', 'deafen-leader', 'one-way', 'isolate-leader', 'split', 'bridge', 'delay', 'loss', 'reset'],
  disks: ['slow-disk', 'stuck-disk', 'full-disk', 'flush-error'],
  cluster: ['transfer', 'snapshot', 'replace', 'wipe', 'add', 'remove'],
} as const

export type Family = keyof typeof families
export type Kind = (typeof families)[Family][number]

/** One fault that is to come. `draws` decide all that is left open: whom it hits, how hard. */
export interface Planned {
  readonly kind: Kind
  /** Milliseconds after the one before it on its track. */
  readonly rest: number
  /** How long it lasts, milliseconds. */
  readonly lasts: number
  readonly draws: Random
}

/** Milliseconds. Long enough that an election has its chance between two faults of a track, short enough that faults of tracks meet. */
const pace: Record<Family, { readonly rest: readonly [number, number]; readonly lasts: readonly [number, number] }> = {
  processes: { rest: [1_200, 3_500], lasts: [200, 2_200] },
  network: { rest: [1_000, 3_000], lasts: [400, 2_800] },
  disks: { rest: [1_500, 4_000], lasts: [400, 3_000] },
  cluster: { rest: [800, 2_500], lasts: [0, 0] },
}

/**
 * The faults of a track, in order and without end: a function of the seed. Every kind comes once before any comes again. Which process
 * leads when a fault is due, and what the operating system does first, no seed decides.
 */
export function* schedule(seed: string, family: Family): Generator<Planned> {
  const random = new Random(`${seed}/${family}`)
  const { rest, lasts } = pace[family]
  for (let count = 0; ; ) {
    for (const kind of random.shuffled<Kind>(families[family])) {
      yield {
        kind,
        rest: random.between(...rest),
        lasts: random.between(...lasts),
        draws: random.split(`${kind}/${count++}`),
      }
    }
  }
}
