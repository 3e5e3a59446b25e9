import {
  type Entry,
  headerHash,
  itemsRoot,
  leadStatement,
  type Mandate,
  type Message,
  type Phase,
  type Place,
  type TermCertificate,
  termCertificateHash,
  voteStatement,
} from '@raftkit/bft'
import type { NodeId } from '@raftkit/contract'
import type { FaultName } from './faults.ts'
import type { Stage } from './stage.ts'

export type AppendEntries = Extract<Message, { type: 'appendEntries' }>

/** Leads with these entries instead, under a signature that holds. */
export function lead(
  stage: Stage,
  to: NodeId,
  message: AppendEntries,
  entries: readonly Entry[],
  fault: FaultName,
  isLive?: true,
): undefined {
  const tip = entries.at(-1)
  if (tip === undefined) return
  const place = { term: message.term, index: tip.header.index, hash: headerHash(stage.digest, tip.header) }
  stage.sign(voteStatement(stage.members.domain, 'append', place), (signature) => {
    stage.did(fault, isLive)
    stage.say(to, { ...message, entries, signature })
  })
}

/** The certificate, as one that it leads under: its own word for it holds, whatever the rest is worth. */
export function mandate(stage: Stage, certificate: TermCertificate, then: (mandate: Mandate) => void): undefined {
  const hash = termCertificateHash(stage.digest, certificate)
  stage.sign(leadStatement(stage.members.domain, certificate.term, hash), (signature) =>
    then({ ...certificate, signature }),
  )
}

/** Votes, under a signature that holds. */
export function vote(stage: Stage, to: NodeId, phase: Phase, place: Place, fault: FaultName): undefined {
  stage.sign(voteStatement(stage.members.domain, phase, place), (signature) => {
    stage.did(fault)
    stage.say(to, { type: 'vote', epoch: stage.members.epoch, phase, place, signature })
  })
}

/** The entry with other items, and a header that fits them. */
export const withItems = (stage: Stage, entry: Entry, items: readonly Uint8Array[]): Entry => ({
  header: { ...entry.header, root: itemsRoot(stage.digest, items) },
  items,
})

/** A second branch beside the honest one: the same entries a millisecond later, so that every hash differs and all is valid. */
export class Fork {
  readonly #stage: Stage
  readonly #others: Map<string, Entry> = new Map()

  constructor(stage: Stage) {
    this.#stage = stage
  }

  /** What stands on the other branch in its place. Entries of older terms are certified: they stay what they are. */
  of(entry: Entry, term: number): Entry {
    const { digest, knowledge } = this.#stage
    const hash = headerHash(digest, entry.header)
    const known = this.#others.get(hash)
    if (known || entry.header.term !== term) return known ?? entry
    const parent = this.#others.get(entry.header.parent)
    const header = {
      ...entry.header,
      time: Math.max(entry.header.time, parent?.header.time ?? 0) + 1,
      parent: parent ? headerHash(digest, parent.header) : entry.header.parent,
    }
    const other = { header, items: entry.items }
    this.#others.set(hash, other)
    knowledge.keep(other)
    return other
  }
}

export function flipped(bytes: Uint8Array, random: () => number): Uint8Array {
  const copy = new Uint8Array(bytes)
  const at = Math.floor(random() * copy.length)
  copy[at] = copy[at]! ^ (1 << Math.floor(random() * 8))
  return copy
}
