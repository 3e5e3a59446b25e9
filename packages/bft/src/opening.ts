import { checksumSeed } from '@raftkit/bytes'
import { type Index, isRaftkitError, RaftkitError, type Run } from '@raftkit/contract'
import { decodeHead, type Held } from './base.ts'
import { Branches } from './branches.ts'
import { say } from './checkpointing.ts'
import type { Entry } from './entry.ts'
import type { Hash } from './hash.ts'
import { type Line, readJournal } from './journal.ts'
import { repeat } from './promises.ts'
import { Server, type Settings } from './server.ts'
import { decodeState, type State } from './state.ts'
import { membersAfter } from './succession.ts'

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
    if (state !== undefined) resume(server, decodeState(state), first, readJournal(seed, hashOf, first, journal))
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

/** Goes on from what the disk holds: the journal's lines from `first` on, in order, and the promises. Says again what may not have been heard. */
function resume(server: Server, state: State, first: Index, lines: readonly Line[]): void {
  const { ballot, lock, stated, proof, commit, stable, kept, epochs, isForked } = state
  server.kept = new Map(kept)
  server.epochs = epochs
  server.members = membersAfter(server.settings, epochs)
  server.me = server.members.signer(server.settings.self, server.settings.key) ?? -1
  server.isForked = isForked
  server.stable = stable
  server.ballot = ballot
  server.lock = lock
  server.stated = stated
  server.proof = proof
  server.newest = proof
  const needed = load(server, lines, state)
  server.journal.resume(first, lines)
  if (needed.some((hash) => hash !== undefined && !server.tree.has(hash) && !server.tree.isBuried(hash)))
    throw damaged('the journal lacks an entry that the state names')
  // What it voted for it had checked.
  if (ballot.tip !== undefined) server.tree.validate(ballot.tip)
  if (commit !== undefined && !server.tree.holds(commit.place.hash, server.committed.hash)) {
    server.tree.validate(commit.place.hash)
    server.advance(commit, server.tree.between(server.committed.hash, commit.place.hash) ?? [])
  } else server.commit = commit
  if (lock !== undefined && server.tree.has(lock.place.hash)) server.tree.validate(lock.place.hash)
  repeat(server)
}

/** The tree as it was, and what is committed by the newest checkpoint. The hashes that must be there. */
function load(server: Server, lines: readonly Line[], { stable, buried, ballot, commit }: State): (Hash | undefined)[] {
  const at = stable?.certificate.checkpoint.index ?? 0
  const all: Held[] = lines.flatMap((line) => (line.type === 'held' ? [line.held] : []))
  const find = (index: Index): Held => {
    const held = all.filter(({ checkpoint }) => checkpoint.index === index).at(-1)
    if (held === undefined) throw damaged(`its checkpoint of entry ${index} is missing`)
    return held
  }
  const newest = stable && find(at)
  const from = stable !== undefined && stable.from > 0 ? find(stable.from) : undefined
  if (from) server.tree = new Branches(server.settings.digest, decodeHead(from.head).entry, buried)
  for (const line of lines)
    if (line.type === 'entry' && server.tree.has(line.entry.header.parent)) server.tree.add(line.entry)
    else if (line.type === 'entry' && stable === undefined) throw damaged('an entry of the journal has no parent')
  if (newest !== undefined) {
    const { entry, used } = decodeHead(newest.head)
    const committed = server.tree.get(server.tree.hashOf(entry))
    if (committed === undefined) throw damaged('the journal does not lead up to its checkpoint')
    server.tree.validate(committed.hash)
    server.committed = committed
    server.used = used
  }
  for (const held of all) {
    const { checkpoint } = held
    if (checkpoint.index > at || held === newest || held === from) server.checkpoints.held.set(checkpoint.index, held)
    if (checkpoint.index > at) say(server, checkpoint)
  }
  // What was voted for on a branch that came to nothing goes with what is pruned, and ends voting in its term: it is not missed.
  return [from === undefined ? ballot.tip : undefined, commit?.place.hash]
}

const damaged = (what: string): RaftkitError =>
  new RaftkitError('DAMAGED', `${what}: a member that lost votes must not vote under its key again; give it a new one`)
