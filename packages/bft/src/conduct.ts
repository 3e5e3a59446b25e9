/** What a member did that proves nothing, and lets operators wonder: never evidence, and no rule of the protocol looks at it (§3.7). */
export type Oddity =
  /** A signature that is none. */
  | 'signatures'
  /** A page of a checkpoint that is none of it. */
  | 'pages'
  /** It was asked for something, and brought nothing in time. */
  | 'silence'
  /** It led a term, and left a client out or took all the time that it had. */
  | 'neglect'

/** How often, for each member. */
export class Conduct {
  readonly #counts: Map<number, Partial<Record<Oddity, number>>> = new Map()

  fork(): Conduct {
    const copy = new Conduct()
    for (const [signer, counts] of this.#counts) copy.#counts.set(signer, { ...counts })
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
}
