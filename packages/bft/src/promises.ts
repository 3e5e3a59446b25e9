import type { Term } from '@raftkit/contract'
import type { Certificate, TermCertificate } from './certificate.ts'
import { type Checkpoint, checkpointStatement } from './checkpoint.ts'
import { countCheckpoint } from './checkpointing.ts'
import { termCertificateHash } from './encoding.ts'
import type { Entry } from './entry.ts'
import type { Message } from './messages.ts'
import { mayCommit } from './rules.ts'
import type { Server } from './server.ts'
import { leadStatement, type Phase, type Place, termVoteStatement, voteStatement } from './statement.ts'
import { onRequestVote } from './terms.ts'
import { count } from './voting.ts'

/** What a member puts its name to. */
export type Promised =
  | { readonly type: 'vote'; readonly phase: Phase; readonly place: Place }
  | { readonly type: 'lead'; readonly place: Place; readonly entries: readonly Entry[] }
  /** The leader's, of the certificate that it will lead under. */
  | { readonly type: 'mandate'; readonly certificate: TermCertificate }
  | { readonly type: 'term'; readonly term: Term; readonly lock: Certificate | undefined }
  | { readonly type: 'checkpoint'; readonly checkpoint: Checkpoint }

type Said = Exclude<Promised, { type: 'mandate' }>

/** A signature this member owes: the promise is in the next write, and leaves when that is durable. */
interface Owed {
  readonly ask: number
  readonly what: Promised
  readonly write: number | undefined
  readonly signature: Uint8Array | undefined
  readonly isSent: boolean
}

/** What this member has promised and not yet counted as its own word. Copied by `fork`, which is why nothing in it is altered. */
export class Promises {
  #owed: readonly Owed[]

  constructor(owed: readonly Owed[] = []) {
    this.#owed = owed
  }

  fork(): Promises {
    return new Promises(this.#owed)
  }

  add(ask: number, what: Promised): void {
    this.#owed = [...this.#owed, { ask, what, write: undefined, signature: undefined, isSent: false }]
  }

  /** Those of a term that was given up are of no use to anybody; a checkpoint is of no term. */
  clear(): void {
    this.#owed = this.#owed.filter(({ what }) => what.type === 'checkpoint')
  }

  has(type: Promised['type']): boolean {
    return this.#owed.some(({ what }) => what.type === type)
  }

  sign(server: Server, ask: number, signature: Uint8Array): void {
    const signed = this.#owed.find((owed) => owed.ask === ask)?.what
    if (signed?.type === 'mandate') {
      // In the next write, with whatever it is first shown with.
      server.proof = { ...signed.certificate, signature }
      this.#owed = this.#owed.filter((owed) => owed.ask !== ask)
    } else this.#owed = this.#owed.map((owed) => (owed.ask === ask ? { ...owed, signature } : owed))
  }

  /** Says what is signed; it leaves once `issued`, the last write by now, is durable: that holds all that is promised. */
  say(server: Server, issued: number): void {
    this.#owed = this.#owed.map((owed) => {
      const { signature, isSent } = owed
      const write = owed.write ?? issued
      if (signature !== undefined && !isSent && owed.what.type !== 'mandate') say(server, owed.what, signature, write)
      return { ...owed, write, isSent: isSent || signature !== undefined }
    })
  }

  /** Its own word counts once it is durable (design rule 1), like anybody's. */
  count(server: Server, durable: number): void {
    const isDue = ({ isSent, write }: Owed): boolean => isSent && write !== undefined && write <= durable
    const due = this.#owed.filter(isDue)
    if (due.length === 0) return
    this.#owed = this.#owed.filter((owed) => !isDue(owed))
    for (const { what, signature } of due) if (what.type !== 'mandate') countOwn(server, what, signature!)
  }
}

export function statementOf({ members, settings }: Server, what: Promised): Uint8Array {
  if (what.type === 'mandate') {
    const { certificate } = what
    return leadStatement(members.domain, certificate.term, termCertificateHash(settings.digest, certificate))
  }
  if (what.type === 'checkpoint') return checkpointStatement(members.domain, what.checkpoint)
  return what.type === 'term'
    ? termVoteStatement(members.domain, what.term, what.lock?.place)
    : voteStatement(members.domain, what.type === 'lead' ? 'append' : what.phase, what.place)
}

function say(server: Server, what: Said, signature: Uint8Array, write: number): void {
  const { epoch } = server.members
  switch (what.type) {
    case 'term': {
      const vote = { signer: server.me, lock: what.lock?.place, signature }
      server.said.term = { type: 'requestVote', epoch, term: what.term, vote, lock: what.lock }
      return server.broadcast(server.said.term, write)
    }
    case 'lead': {
      const { entries, place } = what
      const isFirst = server.said.append === undefined
      const message: Message = {
        ...{ type: 'appendEntries', epoch, term: place.term, entries },
        ...{ signature, proof: server.proof },
      }
      server.said.append = message
      return server.broadcast(isFirst ? message : { ...message, proof: undefined }, write)
    }
    case 'checkpoint': {
      server.said.checkpoint = { type: 'checkpoint', checkpoint: what.checkpoint, signature }
      return server.broadcast(server.said.checkpoint, write)
    }
    case 'vote': {
      const message: Message = { type: 'vote', epoch, phase: what.phase, place: what.place, signature }
      server.said[what.phase] = message
      return server.broadcast(message, write)
    }
  }
}

function countOwn(server: Server, what: Said, signature: Uint8Array): void {
  if (what.type === 'term') {
    const vote = { signer: server.me, lock: what.lock?.place, signature }
    return onRequestVote(server, server.me, { term: what.term, vote, lock: what.lock })
  }
  if (what.type === 'checkpoint')
    return countCheckpoint(server, { signer: server.me, ...what, signature, isVerified: true })
  const phase = what.type === 'lead' ? 'append' : what.phase
  server.tally.record({ signer: server.me, phase, place: what.place, signature, isVerified: true })
  count(server, phase, what.place)
}

/** The votes of the last life, word for word: whoever has them already sees nothing new. */
export function repeat(server: Server): void {
  const { ballot, tree, committed, lock } = server
  const { term, tip, stated } = ballot
  if (stated !== undefined && server.proof === undefined) server.owe({ type: 'term', term, lock: server.stated })
  const open = tip === undefined ? undefined : tree.between(committed.hash, tip)
  const last = open?.at(-1)
  if (open === undefined || last === undefined) return
  const place = { term, index: last.entry.header.index, hash: last.hash }
  if (server.isLeader) server.owe({ type: 'lead', place, entries: open.map(({ entry }) => entry) })
  else server.owe({ type: 'vote', phase: 'append', place })
  if (lock === undefined || !mayCommit(ballot, lock.place)) return
  server.committing = lock.place
  server.owe({ type: 'vote', phase: 'commit', place: lock.place })
}
