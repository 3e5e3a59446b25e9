import type { Index, Status } from '@raftkit/contract'
import { peersOf } from './conduct.ts'
import { span } from './entry.ts'
import { incarnationOf, shortGenesis } from './founding.ts'
import type { Server } from './server.ts'
import { leaderOf, roleOf, type Told } from './telling.ts'

export interface Place {
  readonly boot: number
  readonly key: Uint8Array
  /** Handed out up to here. */
  readonly position: Index
  readonly applied: Index
}

/** What a member tells of itself: in positions, each operation at one. */
export function statusOf(server: Server, told: Told, { boot, key, position, applied }: Place, now: number): Status {
  const { ballot, tree, pool, settings, stable } = server
  const tip = ballot.tip === undefined ? undefined : tree.get(ballot.tip)?.entry
  let uncommittedBytes = 0
  for (const { bytes } of pool) uncommittedBytes += bytes.length
  return {
    ...{ id: settings.self, boot, genesis: shortGenesis(settings.members) },
    incarnation: incarnationOf(settings.digest, key),
    ...{ role: roleOf(server), term: ballot.term, leader: leaderOf(server) },
    ...{ commit: position, applied, first: 1, durable: position },
    last: Math.max(position, tip === undefined ? 0 : tip.header.position + span(tip)),
    ...{ config: told.config, configIndex: told.configIndex, configCommitted: true, removed: told.isRemoved },
    forked: server.isForked,
    ...{ snapshot: stable?.snapshot, uncommittedBytes, peers: peersOf(server, now) },
  }
}
