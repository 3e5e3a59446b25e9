import type { Scope } from '../system/scope.ts'
import { elections } from './elections.ts'
import { joint } from './joint.ts'
import { reads } from './reads.ts'
import { replication } from './replication.ts'
import { sessionScopes } from './sessions.ts'
import { snapshots } from './snapshots.ts'

/** All of them; the first ones take longest. */
export const scopes: readonly Scope[] = [
  ...elections,
  ...replication,
  ...reads,
  ...joint,
  ...snapshots,
  ...sessionScopes,
]
