import { checksumSeed, Reader, readRecord, verifyRecord } from '@raftkit/bytes'
import { isRaftkitError, RaftkitError, type Run } from '@raftkit/contract'
import { type Entry, readEntry } from './entry.ts'
import { Server, type Settings } from './server.ts'
import { decodeState } from './state.ts'

/** A member as its disk holds it. Throws `DAMAGED` for anything but what it wrote: with less it would take back votes. */
export function open(settings: Settings, state: Uint8Array | undefined, journal: Run, now: number): Server {
  const server = new Server(settings, now)
  try {
    if (state !== undefined) server.resume(decodeState(state), readJournal(server, journal))
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

function readJournal({ genesis, settings }: Server, { bytes, count }: Run): Entry[] {
  const seed = checksumSeed(genesis, settings.group)
  const entries: Entry[] = []
  let at = 0
  for (let line = 1; line <= count; line++) {
    if (at >= bytes.length) throw new RaftkitError('MALFORMED', `line ${line} of the journal is missing`)
    const end = verifyRecord(bytes, at, seed, line)
    const reader = new Reader(readRecord(bytes, at).payload)
    entries.push(readEntry(reader))
    reader.end()
    at = end
  }
  return entries
}
