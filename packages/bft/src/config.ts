import type { Config, Peer } from '@raftkit/contract'
import { incarnationOf } from './founding.ts'
import type { Digest } from './hash.ts'
import type { Members } from './members.ts'

/** The members as the runtime wants them. `contacts`: where to dial those whose configuration does not say. */
export function configOf(digest: Digest, { list }: Members, contacts: readonly Peer[]): Config {
  return {
    format: 1,
    members: list.map(({ id, key, address = contacts.find((peer) => peer.id === id)?.address }) => ({
      ...{ id, incarnation: incarnationOf(digest, key), role: 'voter' as const },
      ...(address === undefined ? {} : { address }),
    })),
  }
}
