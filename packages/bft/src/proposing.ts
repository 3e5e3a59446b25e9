import { evidenceDue } from './accusing.ts'
import { placeOf } from './appending.ts'
import { type Entry, type EntryKind, headerHash, itemsRoot, span } from './entry.ts'
import { append, mayAppend } from './rules.ts'
import type { Server } from './server.ts'
import { endsEpoch } from './succession.ts'
import type { Used } from './used.ts'

/**
 * Each entry costs every member the signatures of all: while this many are on their way, what comes waits for the next, unless there is
 * enough of it for one.
 */
const fewOpen = 2
const fullBatch = 64

/**
 * The leader's side. First, in a new term, what its certificate binds it to, under a vote of the new term: with it everything before is
 * certified again, as Raft's no-op does it. Then new entries, as many at once as the window allows.
 */
export function propose(server: Server): void {
  const { anchor, anchorPlace, tree, settings, pool } = server
  if (!server.isLeader || anchor === undefined) return
  const first = tree.get(anchor)
  if (first === undefined) return
  // What says it is of this term is this leader's to answer for, and was made before: somebody with more than f friends.
  const isBound = anchor === anchorPlace?.hash && anchor !== server.members.genesis.hash
  if (isBound && first.entry.header.term >= server.ballot.term) return
  const committed = server.committed.entry.header.index
  // What its epoch begins with was led, and certified, in the one before (I16).
  if (server.ballot.tip === undefined && isBound && first.entry.header.index > committed) lead(server, first.entry)
  const bound = tree.get(server.tip ?? anchor)
  // A vote of its last life for what was pruned since: it leads no more in this term.
  if (bound === undefined) return
  if (endsEpoch(bound.entry, server.members)) return
  if (isConfiguring(server, bound.entry)) return extend(server, bound.entry, 'config', [server.pending!])
  const due = evidenceDue(server)
  if (due !== undefined && bound.entry.header.index - committed < settings.window) {
    server.accusations.proposed.set(due.who, server.ballot.term)
    extend(server, bound.entry, 'evidence', [due.evidence])
  }
  while (pool.waiting > 0) {
    const tip = tree.get(server.tip ?? anchor)!
    const open = tip.entry.header.index - committed
    if (open >= settings.window || (open >= fewOpen && pool.waiting < fullBatch)) return
    const used = tree.holds(server.committed.hash, tip.hash) ? server.usedAt(tip.hash) : undefined
    const items = used && batch(server, used)
    if (items === undefined || items.length === 0) return
    extend(server, tip.entry, 'data', items)
  }
}

/** A configuration comes last in its epoch, and behind what is on its way. */
function isConfiguring({ pending, committed, settings }: Server, { header }: Entry): boolean {
  return pending !== undefined && header.index - committed.entry.header.index < settings.window
}

function extend(server: Server, parent: Entry, kind: EntryKind, items: readonly Uint8Array[]): void {
  const { members, ballot, wall, settings } = server
  const { header } = parent
  const entry: Entry = {
    header: {
      epoch: members.epoch,
      index: header.index + 1,
      term: ballot.term,
      kind,
      parent: headerHash(settings.digest, header),
      root: itemsRoot(settings.digest, items),
      position: header.position + span(parent),
      time: Math.max(header.time, wall),
    },
    items,
  }
  server.keep(entry)
  lead(server, entry)
}

function lead(server: Server, entry: Entry): void {
  const { ballot, tree, anchor } = server
  const hash = server.hashOf(entry)
  if (!mayAppend(ballot, ballot.term, hash, anchor, tree)) return
  tree.validate(hash)
  server.adopt(append(ballot, hash))
  server.owe({ type: 'lead', place: placeOf(server, ballot.term, entry), entries: [entry] })
}

/** Of what waits, each client's in turn, what may run behind `used` and fits one entry. */
function batch({ pool, settings }: Server, used: Used): Uint8Array[] {
  const next = used.behind()
  const items: Uint8Array[] = []
  let bytes = 0
  for (;;) {
    const pooled = pool.take(({ request }) => next.isFresh(request))
    if (pooled === undefined) return items
    bytes += pooled.bytes.length
    if (bytes > settings.batchBytes && items.length > 0) {
      pool.giveBack(pooled)
      return items
    }
    next.use(pooled.request)
    items.push(pooled.bytes)
  }
}
