import { type Exploration, type ExploreOptions, explore } from '../explore/explore.ts'
import { Violation } from '../explore/model.ts'
import { exploreBlobs } from '../storage/blobs.ts'
import { exploreLog } from '../storage/log.ts'
import type { Scope } from '../system/scope.ts'
import { System } from '../system/system.ts'
import { elections } from './elections.ts'
import { joint } from './joint.ts'
import { reads } from './reads.ts'
import { replication } from './replication.ts'
import { sessionScopes } from './sessions.ts'
import { snapshots } from './snapshots.ts'

/** Something that can be explored, within bounds. */
export interface Subject {
  readonly name: string
  readonly about: string
  readonly bounds: Readonly<Record<string, unknown>>
  /** Distinct states to look for, if the command line says nothing; undefined: all. */
  readonly states?: number | undefined
  explore(options: SubjectOptions): Exploration | Promise<Exploration>
}

export interface SubjectOptions extends ExploreOptions {
  readonly symmetry: boolean
  readonly reduce: boolean
}

/** What Raft's protocol may meet. */
export const scopes: readonly Scope[] = [
  ...elections,
  ...replication,
  ...reads,
  ...joint,
  ...snapshots,
  ...sessionScopes,
]

const files: Subject = {
  name: 'snapshot-files',
  about: 'the snapshot store of packages/files: a power cut after every file operation of every sequence of calls',
  bounds: { calls: 6, blobs: 2 },
  explore: (options) => exploreBlobs(6, options),
}

const log: Subject = {
  name: 'wal-files',
  about: 'the log of packages/storage-wal: a power cut after every file operation of every sequence of calls',
  bounds: { calls: 3, groups: 2 },
  explore: (options) => exploreLog(3, options),
}

export const subjects: readonly Subject[] = [...scopes.map(raftSubject), files, log]

function raftSubject(scope: Scope): Subject {
  const { name, about, states } = scope
  return {
    name,
    about,
    bounds: boundsOf(scope),
    states,
    explore: (options) => exploreScope(scope, options),
  }
}

function exploreScope(scope: Scope, options: SubjectOptions): Exploration {
  try {
    return explore(new System(scope, options), options)
  } catch (error) {
    if (!(error instanceof Violation)) throw error
    const { invariant, message: what } = error
    const violation = { invariant, what, steps: ['before the exploration began'] }
    return { distinctStates: 0, transitions: 0, depth: 0, deepest: 0, exhausted: false, violation }
  }
}

function boundsOf({ servers, term, last, budgets, channel, redelivers }: Scope): Record<string, unknown> {
  return {
    servers: servers.length,
    term,
    ...(last === undefined ? {} : { last }),
    ...budgets,
    ...(redelivers ? { duplicate: 'any' } : {}),
    ...(channel === undefined ? {} : { channel }),
  }
}
