import { isRaftkitError } from '@raftkit/contract'
import { placeOf } from './appending.ts'
import type { Node } from './branches.ts'
import { type Entry, headerHash, itemsRoot, span } from './entry.ts'
import { decodeRequest, type Request, requestCheck } from './request.ts'
import { append, mayAppend } from './rules.ts'
import type { Server } from './server.ts'
import type { Check } from './statement.ts'

/** A client's request that waits to be executed. */
export interface Pooled {
  readonly bytes: Uint8Array
  readonly request: Request
}

/** Requests kept beyond this are the clients' to send again. */
const mostPooled = 16_384

export function admitRequest(server: Server, bytes: Uint8Array): { bytes: Uint8Array; check: Check } | undefined {
  const request = decoded(bytes)
  const { pool, used, settings } = server
  if (!request || bytes.length > settings.batchBytes || pool.size >= mostPooled) return undefined
  if (pool.has(server.itemHash(bytes)) || !used.isFresh(request)) return undefined
  return { bytes, check: requestCheck(settings.digest, server.genesis, request) }
}

export function onRequests(server: Server, requests: readonly Uint8Array[]): void {
  for (const bytes of requests) {
    const request = decodeRequest(bytes)
    if (!server.used.isFresh(request)) continue
    if (!server.isBusy) server.since = server.now
    server.pool.set(server.itemHash(bytes), { bytes, request })
  }
}

/** Signatures of an entry's requests that this member has not verified yet. */
export function requestChecks(server: Server, entry: Entry): Check[] {
  if (entry.header.kind !== 'data') return []
  return entry.items.flatMap((item) => {
    const hash = server.itemHash(item)
    const request = server.verified.has(hash) || server.pool.has(hash) ? undefined : decoded(item)
    return request ? [requestCheck(server.settings.digest, server.genesis, request)] : []
  })
}

/** The part of external validity (V) that needs what was executed: no number runs twice, neither in what is committed nor before it on this branch. */
export function flawOfRequests(server: Server, nodes: readonly Node[]): string | undefined {
  const ahead = new Ahead()
  for (const { entry } of nodes) {
    if (entry.header.kind === 'noop') continue
    if (entry.header.kind !== 'data') return `this version votes for no ${entry.header.kind} entry`
    for (const item of entry.items) {
      const request = decodeRequest(item)
      if (!server.used.isFresh(request) || !ahead.add(request)) return 'a request is in it that was executed before'
    }
  }
  return undefined
}

/**
 * The leader's side. First, in a new term, what its certificate binds it to, under a vote of the new term: with it everything before is
 * certified again, as Raft's no-op does it. Then new entries, as many at once as the window allows.
 */
export function propose(server: Server): void {
  const { anchor, tree, settings } = server
  const first = anchor === undefined ? undefined : tree.get(anchor)
  if (!server.isLeader || anchor === undefined || first === undefined) return
  if (server.ballot.tip === undefined && first.entry.header.index > server.committed.entry.header.index)
    lead(server, first.entry)
  for (;;) {
    const tip = tree.get(server.ballot.tip ?? anchor)!
    const open = tree.between(server.committed.hash, tip.hash)
    if (open === undefined || open.length >= settings.window) return
    const items = fresh(server, open)
    if (items.length === 0) return
    const { header } = tip.entry
    const entry: Entry = {
      header: {
        epoch: server.members.epoch,
        index: header.index + 1,
        term: server.ballot.term,
        kind: 'data',
        parent: headerHash(settings.digest, header),
        root: itemsRoot(settings.digest, items),
        position: header.position + span(tip.entry),
        time: Math.max(header.time, server.wall),
      },
      items,
    }
    server.keep(entry)
    lead(server, entry)
  }
}

function lead(server: Server, entry: Entry): void {
  const { ballot, tree, anchor } = server
  const hash = server.hashOf(entry)
  if (!mayAppend(ballot, ballot.term, hash, anchor, tree)) return
  tree.validate(hash)
  server.adopt(append(ballot, hash))
  server.owe({ type: 'lead', place: placeOf(server, ballot.term, entry), entries: [entry] })
}

/** Of the pool, oldest first, what is not on its way. */
function fresh(server: Server, open: readonly Node[]): Uint8Array[] {
  const ahead = new Ahead()
  for (const { entry } of open)
    if (entry.header.kind === 'data') for (const item of entry.items) ahead.add(decodeRequest(item))
  const items: Uint8Array[] = []
  let bytes = 0
  for (const { bytes: item, request } of server.pool.values()) {
    if (!server.used.isFresh(request) || !ahead.add(request)) continue
    bytes += item.length
    if (bytes > server.settings.batchBytes && items.length > 0) break
    items.push(item)
  }
  return items
}

/** Numbers of requests on one branch. */
class Ahead {
  readonly #numbers: Set<string> = new Set()

  /** Whether all of its numbers are new. */
  add({ client, session, seq, operations }: Request): boolean {
    const names = operations.map((_, at) => `${client.join()} ${session} ${seq + at}`)
    if (names.some((name) => this.#numbers.has(name))) return false
    for (const name of names) this.#numbers.add(name)
    return true
  }
}

function decoded(bytes: Uint8Array): Request | undefined {
  try {
    return decodeRequest(bytes)
  } catch (error) {
    if (isRaftkitError(error)) return undefined
    throw error
  }
}
