import { now } from '../clients/clock.ts'
import type { Cluster } from '../cluster/cluster.ts'
import { flushError, fullDisk, slowDisk, stuckDisk } from './disks.ts'
import type { Fault, Lasting } from './fault.ts'
import { add, remove, replace, snapshot, transfer, wipe } from './memberships.ts'
import { bridge, deafenLeader, delay, isolateLeader, loss, muteLeader, oneWay, reset, split } from './networks.ts'
import {
  killAll,
  killFollower,
  killLeader,
  killMajority,
  pauseFollower,
  pauseLeader,
  pauseMajority,
  restartLeader,
} from './processes.ts'
import { type Family, families, type Kind, type Planned, schedule } from './schedule.ts'

const faults: Record<Kind, Fault> = {
  'kill-leader': killLeader,
  'kill-follower': killFollower,
  'kill-majority': killMajority,
  'kill-all': killAll,
  'restart-leader': restartLeader,
  'pause-leader': pauseLeader,
  'pause-follower': pauseFollower,
  'pause-majority': pauseMajority,
  'mute-leader': muteLeader,
  'deafen-leader': deafenLeader,
  'one-way': oneWay,
  'isolate-leader': isolateLeader,
  split,
  bridge,
  delay,
  loss,
  reset,
  'slow-disk': slowDisk,
  'stuck-disk': stuckDisk,
  'full-disk': fullDisk,
  'flush-error': flushError,
  transfer,
  snapshot,
  replace,
  wipe,
  add,
  remove,
}

/** A fault that was done: from its first effect until its last, nanoseconds by `now`. */
export interface Done {
  readonly kind: Kind
  readonly begin: number
  readonly end: number
  readonly what: string
}

export interface Tracks {
  readonly done: readonly Done[]
  /** Kinds that were due and could not be done, by how often. */
  readonly passed: ReadonlyMap<Kind, number>
  /** Undoes what is going on; resolves once nothing is. */
  stop(): Promise<void>
}

/** How often a fault that is due is tried, and milliseconds between. */
const tries = 4
const betweenTries = 500

/** All families at once, each by its own schedule. */
export function startTracks(cluster: Cluster, seed: string, tell: (done: Done) => void): Tracks {
  const done: Done[] = []
  const passed = new Map<Kind, number>()
  const over = new AbortController()
  const lasting: Lasting = (milliseconds) =>
    new Promise((resolve) => {
      if (over.signal.aborted) return resolve()
      const end = () => {
        clearTimeout(timer)
        over.signal.removeEventListener('abort', end)
        resolve()
      }
      const timer = setTimeout(end, milliseconds)
      over.signal.addEventListener('abort', end)
    })

  const run = async (family: Family): Promise<void> => {
    for (const planned of schedule(seed, family)) {
      await lasting(planned.rest)
      if (over.signal.aborted) return
      const one = await attempt(planned)
      if (one.what !== undefined) {
        const { what } = one
        done.push({ ...one, what })
        tell({ ...one, what })
      } else if (!over.signal.aborted) {
        // A run that ends does not wait for a chance.
        passed.set(one.kind, (passed.get(one.kind) ?? 0) + 1)
      }
    }
  }
  /** What could not be done, since nobody leads, say, has its chance a moment later. */
  const attempt = async (planned: Planned): Promise<Omit<Done, 'what'> & { what: string | undefined }> => {
    for (let left = tries; ; ) {
      const kind = feasible(planned.kind, cluster)
      const begin = now()
      const what = await faults[kind](cluster, planned, lasting)
      if (what !== undefined || --left === 0 || over.signal.aborted) return { kind, begin, end: now(), what }
      await lasting(betweenTries)
    }
  }
  const running = Promise.all(Object.keys(families).map((family) => run(family as Family)))
  running.catch(() => {})
  return {
    done,
    passed,
    stop: async () => {
      over.abort()
      await running
    },
  }
}

/** There is one member to spare: it can come while it is out, and one can go while it is in. */
function feasible(kind: Kind, cluster: Cluster): Kind {
  const isOut = cluster.roster.length <= cluster.size
  if (kind === 'remove' && isOut) return 'add'
  if ((kind === 'add' || kind === 'replace') && !isOut) return 'remove'
  return kind
}

/** Nanoseconds of `done`, joined where they overlap, in order. */
export function joined(done: readonly Pick<Done, 'begin' | 'end'>[]): [begin: number, end: number][] {
  const spans: [number, number][] = []
  for (const { begin, end } of [...done].sort((a, b) => a.begin - b.begin)) {
    const last = spans.at(-1)
    if (last && begin <= last[1]) last[1] = Math.max(last[1], end)
    else spans.push([begin, end])
  }
  return spans
}

/** How many of the operations were open while one of the spans was. */
export function overlapping(
  operations: readonly { readonly call: number; readonly return?: number | undefined }[],
  spans: readonly (readonly [begin: number, end: number])[],
): number {
  let count = 0
  for (const { call, return: end = call } of operations) {
    // The first span that ends after the call.
    let low = 0
    let high = spans.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (spans[middle]![1] < call) low = middle + 1
      else high = middle
    }
    if (low < spans.length && spans[low]![0] <= end) count++
  }
  return count
}
