import type { Index, Term } from '@raftkit/contract'
import type { Signature } from './certificate.ts'
import type { Phase, Place } from './statement.ts'

export interface Tallied extends Signature {
  readonly phase: Phase
  readonly place: Place
  readonly isVerified: boolean
}

interface Box {
  readonly term: Term
  readonly votes: ReadonlyMap<string, Tallied>
}

const slot = (phase: Phase, index: Index): string => `${phase} ${index}`

/**
 * Votes that arrived. Each signer has one box, for the newest term it voted in (an honest one never goes back), and in it one slot for a
 * phase and index: a liar neither counts twice nor fills the memory, and a wrong vote stands in nobody's way (Tangaroa, D3–D5).
 */
export class Tally {
  readonly #boxes: Map<number, Box>

  constructor(boxes: ReadonlyMap<number, Box> = new Map()) {
    this.#boxes = new Map(boxes)
  }

  fork(): Tally {
    return new Tally(this.#boxes)
  }

  /** The vote that stands in its way, if it differs: both are signed, so it may prove a lie. */
  record(vote: Tallied): Tallied | undefined {
    const { signer, phase, place } = vote
    const box = this.#boxes.get(signer)
    if (box && place.term < box.term) return undefined
    const votes = new Map(box?.term === place.term ? box.votes : [])
    const key = slot(phase, place.index)
    const before = votes.get(key)
    if (before && before.place.hash !== place.hash) return before
    if (before && (before.isVerified || !vote.isVerified)) return undefined
    this.#boxes.set(signer, { term: place.term, votes: votes.set(key, vote) })
    return undefined
  }

  for(phase: Phase, { term, index, hash }: Place): Tallied[] {
    const found: Tallied[] = []
    for (const box of this.#boxes.values()) {
      const vote = box.term === term ? box.votes.get(slot(phase, index)) : undefined
      if (vote?.place.hash === hash) found.push(vote)
    }
    return found
  }

  /** How many have voted for something that is not committed here. */
  get voters(): number {
    let count = 0
    for (const { votes } of this.#boxes.values()) if (votes.size > 0) count++
    return count
  }

  /** A signer's votes: in that term, or those of the newest it voted in. */
  of(signer: number, term?: Term): Iterable<Tallied> {
    const box = this.#boxes.get(signer)
    return box === undefined || (term !== undefined && box.term !== term) ? [] : box.votes.values()
  }

  /** Whether the signature of that vote turned out to be one. What is none is forgotten. */
  judge({ signer, phase, place, signature }: Tallied, isVerified: boolean): void {
    const box = this.#boxes.get(signer)
    const key = slot(phase, place.index)
    const vote = box?.term === place.term ? box.votes.get(key) : undefined
    if (!box || vote?.signature !== signature) return
    const votes = new Map(box.votes)
    if (isVerified) votes.set(key, { ...vote, isVerified })
    else votes.delete(key)
    this.#boxes.set(signer, { term: box.term, votes })
  }

  /** What is committed needs no votes. */
  forget(index: Index): void {
    for (const [signer, { term, votes }] of this.#boxes)
      this.#boxes.set(signer, { term, votes: new Map([...votes].filter(([, vote]) => vote.place.index > index)) })
  }
}
