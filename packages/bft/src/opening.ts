import { checksumSeed } from '@raftkit/bytes'
import { type Index, isRaftkitError, RaftkitError, type Run } from '@raftkit/contract'
import type { Entry } from './entry.ts'
import type { Hash } from './hash.ts'
import { readJournal } from './journal.ts'
import { Server, type Settings } from './server.ts'
import { decodeState } from './state.ts'

/** Lines from `first` on: those before it were compacted. */
export interface Journal extends Run {
  readonly first?: Index
}

/** A member as its disk holds it. Throws `DAMAGED` for anything but what it wrote: with less it would take back votes. */
export function open(settings: Settings, state: Uint8Array | undefined, journal: Journal, now: number): Server {
  const server = new Server(settings, now)
  try {
    const seed = checksumSeed(server.genesis, settings.group)
    const { first = 1 } = journal
    const hashOf = (entry: Entry): Hash => server.hashOf(entry)
    if (state !== undefined) server.resume(decodeState(state), first, readJournal(seed, hashOf, first, journal))
    else if (journal.count > 0) throw new RaftkitError('MALFORMED', 'there is a journal, but no state')
  } catch (error) {
    if (!isRaftkitError(error, 'MALFORMED')) throw error
    throw new RaftkitError(
      'DAMAGED',
      `what ${settings.self} wrote is not there as it was (${error.message}): give it a new key and an empty disk`,
      { cause: error },
    )
  }
  return server
}
