import type { Index, PeerStatus, Term } from '@raftkit/contract'
import { span } from './entry.ts'
import { incarnationOf } from './founding.ts'
import type { Message } from './messages.ts'
import type { Server } from './server.ts'

/** What a member did that proves nothing, and lets operators wonder: never evidence, and what is voted for does not depend on it (§3.7). */
export type Oddity =
  /** A signature that is none. */
  | 'signatures'
  /** A page of a checkpoint that is none of it. */
  | 'pages'
  /** It was asked for something, and brought nothing in time. */
  | 'silence'
  /** It led a term, and nothing was committed in time. */
  | 'delay'
  /** It led a term, and its entries were ahead of the clock of whoever counts. */
  | 'clock'
  /** It led a term, and left a client out or took all the time that it had. */
  | 'neglect'

interface Heard {
  readonly at: number
  /** Of its last vote, append or term vote. */
  readonly term: Term | undefined
  /** The last that it voted for and that is known here. */
  readonly position: Index
}

/** What is heard of each member of an epoch, and what it did: for people to look at. */
export class Conduct {
  readonly #counts: Map<number, Partial<Record<Oddity, number>>> = new Map()
  readonly #heard: Map<number, Heard> = new Map()

  fork(): Conduct {
    const copy = new Conduct()
    for (const [signer, counts] of this.#counts) copy.#counts.set(signer, { ...counts })
    for (const [signer, heard] of this.#heard) copy.#heard.set(signer, heard)
    return copy
  }

  note(signer: number, oddity: Oddity): void {
    const counts = this.#counts.get(signer) ?? {}
    counts[oddity] = (counts[oddity] ?? 0) + 1
    this.#counts.set(signer, counts)
  }

  of(signer: number): Readonly<Partial<Record<Oddity, number>>> {
    return this.#counts.get(signer) ?? {}
  }

  /** As it came: nothing of it is verified. */
  hear({ now, members, tree }: Server, signer: number, message: Message): void {
    const before = this.#heard.get(signer)
    let { term, position = 0 }: Partial<Heard> = before ?? {}
    if ('epoch' in message && message.epoch === members.epoch) {
      if (message.type === 'appendEntries' || message.type === 'requestVote') term = message.term
      if (message.type === 'vote') {
        const entry = tree.get(message.place.hash)?.entry
        term = message.place.term
        if (entry !== undefined) position = Math.max(position, entry.header.position + span(entry))
      }
    }
    this.#heard.set(signer, { at: now, term, position })
  }

  heard(signer: number): Heard | undefined {
    return this.#heard.get(signer)
  }
}

/** The other members, for operators. */
export function peersOf(server: Server, now: number): PeerStatus[] {
  const { me, members, settings, conduct, accusations } = server
  const peers = members.list.map(({ id, key }, signer): PeerStatus => {
    const heard = conduct.heard(signer)
    const match = heard?.position ?? 0
    return {
      ...{ id, incarnation: incarnationOf(settings.digest, key), amnesic: false },
      ...{ state: match > 0 ? 'replicate' : 'probe', match, next: match + 1 },
      silentFor: heard && now - heard.at,
      conduct: { term: heard?.term, oddities: conduct.of(signer), convicted: accusations.convicted.has(id) },
    }
  })
  return peers.filter((_, signer) => signer !== me)
}
