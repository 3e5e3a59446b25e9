import type { NodeId } from '@raftkit/contract'
import { type Entry, flawOfEntry } from './entry.ts'
import { halt, isBesideCommit } from './halting.ts'
import type { Hash } from './hash.ts'
import type { Message } from './messages.ts'
import type { Server } from './server.ts'
import { compareRank } from './statement.ts'
import { membersAfter } from './succession.ts'
import { askForNewest } from './terms.ts'
import { onCertificate } from './voting.ts'

type Fetch = Extract<Message, { type: 'fetch' }>
type Fetched = Extract<Message, { type: 'fetched' }>

/** What is being fetched: from the entry that is wanted downwards, so that each hash proves the next and nobody need be trusted. */
export interface Fetching {
  /** Of the next entry down. */
  readonly next: Hash
  /** From the top. */
  readonly got: readonly Entry[]
  /** Its place among the holders. */
  readonly peer: number
  /** Peers that were asked and brought nothing. */
  readonly tries: number
}

/** Bytes of one answer: the rest is asked for from there on. */
const mostFetched = 1024 * 1024

export function beginFetch(server: Server, hash: Hash, peer: number): void {
  if (server.fetching !== undefined || server.transfer !== undefined || server.tree.has(hash)) return
  const at = peer === server.me ? (peer + 1) % server.members.list.length : peer
  server.fetching = { next: hash, got: [], peer: at, tries: 0 }
  // How an epoch ended came with the word that it did.
  const known = server.epochs.find(({ certificate }) => certificate.place.hash === hash)?.entry
  if (known === undefined) request(server, server.fetching)
  else onFetched(server, at, { type: 'fetched', entries: [known] })
}

/**
 * Whom to ask: the members, and behind them those who left with the epoch before. What led up to its end was certified by them, and of those who stay it
 * may be that only liars hold it.
 */
export function holders({ members, epochs, settings }: Server): readonly NodeId[] {
  const ids = members.list.map(({ id }) => id)
  if (epochs.length === 0) return ids
  const before = membersAfter(settings, epochs.slice(0, -1))
  const isGone = (id: NodeId): boolean => members.signer(id) === undefined && id !== settings.self
  return [...ids, ...before.list.map(({ id }) => id).filter(isGone)]
}

/** Whoever was asked has had time to answer: the next one, until all were asked. Nobody has what a liar made up. */
export function fetchElsewhere(server: Server): void {
  const { fetching, me } = server
  if (fetching === undefined) return
  server.conduct.note(fetching.peer, 'silence')
  const { length } = holders(server)
  if (fetching.tries >= 2 * length) return giveUp(server)
  const next = (fetching.peer + 1) % length
  const peer = next === me ? (next + 1) % length : next
  server.fetching = { ...fetching, peer, tries: fetching.tries + 1 }
  request(server, server.fetching)
}

export function answerFetch(server: Server, from: NodeId, { hash, above }: Fetch): void {
  const { stable, tree, settings } = server
  // What it would need below that is pruned here.
  if (stable && above < tree.root.entry.header.index)
    server.send(from, { type: 'checkpointed', certificate: stable.certificate })
  const entries = tree.down(hash, above, Math.min(mostFetched, 2 * settings.batchBytes))
  if (entries.length > 0) server.send(from, { type: 'fetched', entries })
}

export function onFetched(server: Server, sender: number, { entries }: Fetched): void {
  const { fetching, tree, committed } = server
  if (fetching === undefined) return
  let { next } = fetching
  const got = [...fetching.got]
  for (const entry of entries) {
    if (server.hashOf(entry) !== next || tree.has(next)) break
    if (entry.header.index <= committed.entry.header.index) return giveUp(server)
    // Indexes fall one by one: a chain that a liar made up ends (I21).
    const above = got.at(-1)
    if (above !== undefined && entry.header.index !== above.header.index - 1) return giveUp(server)
    got.push(entry)
    next = entry.header.parent
    if (entry.header.index === committed.entry.header.index + 1 && next !== committed.hash) return beside(server, got)
  }
  if (got.length === fetching.got.length) return
  server.fetching = { next, got, peer: sender, tries: 0 }
  if (!tree.has(next)) request(server, server.fetching)
}

/** A chain that does not hold what is committed: no certificate leads there, unless more than f members lie (§3.7). */
function beside(server: Server, chain: readonly Entry[]): void {
  const { append, commit } = server.certified
  const hashes = chain.map((entry) => server.hashOf(entry))
  const headers = chain.map(({ header }) => header)
  if (commit !== undefined && hashes.includes(commit.place.hash)) return halt(server, [commit], headers)
  if (append !== undefined && hashes.includes(append.place.hash)) {
    if (isBesideCommit(server, append)) return halt(server, [append], headers)
    delete server.certified.append
  }
  giveUp(server)
}

/** What was fetched reaches down to what is known, or that has come up to it by itself. */
function attach(server: Server): void {
  const { fetching, tree } = server
  let parent = fetching && tree.get(fetching.next)
  if (fetching === undefined || parent === undefined) return
  server.fetching = undefined
  for (const entry of [...fetching.got].reverse()) {
    if (flawOfEntry(server.settings.digest, entry, parent.entry) !== undefined) return giveUp(server)
    parent = server.keep(entry)
  }
  // Beyond the window nothing is listened to meanwhile.
  if (fetching.got.length > server.settings.window) askForNewest(server)
}

/** What waited for an entry goes on, or asks for the next one that it lacks. */
export function wake(server: Server): void {
  attach(server)
  if (server.fetching !== undefined) return
  // Nothing goes on in an epoch before its first entry is committed here, and that was certified in the one before.
  const end = server.epochs.at(-1)?.certificate
  if (end !== undefined && end.place.index > server.committed.entry.header.index) onCertificate(server, end, server.me)
  const { certified, waiting, tree } = server
  for (const phase of ['append', 'commit'] as const) {
    const certificate = certified[phase]
    if (certificate === undefined) continue
    delete certified[phase]
    // Locked higher since: its entry is of no use, and nobody gives away what lies before what is committed.
    if (phase === 'append' && compareRank(certificate.place, server.ballot.lock) <= 0) continue
    onCertificate(server, certificate, certificate.signatures.find(({ signer }) => signer !== server.me)!.signer)
  }
  const { anchor } = server
  if (server.isLeader && anchor !== undefined && !tree.has(anchor))
    beginFetch(server, anchor, server.proof?.lock?.signatures[0]?.signer ?? 0)
  // While a state is fetched nothing else is: it would lack the same entry again, and be verified again, without end.
  if (waiting === undefined || server.fetching !== undefined || server.transfer !== undefined) return
  server.waiting = undefined
  server.receive(waiting.from, waiting.message)
}

function request(server: Server, { next, peer }: Fetching): void {
  const above = server.committed.entry.header.index
  // Whoever signed a certificate of an older epoch had its number there.
  const all = holders(server)
  server.send(all[peer % all.length]!, { type: 'fetch', hash: next, above })
}

function giveUp(server: Server): void {
  server.fetching = undefined
  server.waiting = undefined
}
