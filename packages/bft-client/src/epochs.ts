import { checkEpochs, epochsIn, type Members, type Trust } from '@raftkit/bft'
import { type Index, RaftkitError, type Signatures } from '@raftkit/contract'

/** Where the founding stands. */
const founding = 1

/**
 * Who votes, as far as it is proven: from the founders on, and never back. Operators signed each change, and the members of the epoch that it
 * ended committed it, so whoever hands the proof over need not be believed.
 */
export class Epochs {
  readonly #verify: Signatures['verify']
  #trust: Trust
  /** Of the newest configuration; 0: the epochs were given without the proof that says so. */
  #position: Index
  #proof: Uint8Array | undefined

  /** Throws `INVALID_OPTION`. */
  constructor(trust: Trust, { verify }: Pick<Signatures, 'verify'>) {
    if (trust.epochs.length === 0)
      throw new RaftkitError('INVALID_OPTION', 'trust names no members: give those of the founding')
    this.#trust = trust
    this.#verify = verify
    this.#position = trust.epochs.length === 1 ? founding : 0
  }

  get trust(): Trust {
    return this.#trust
  }

  get newest(): Members {
    return this.#trust.epochs.at(-1)!
  }

  get proof(): Uint8Array | undefined {
    return this.#proof
  }

  /** Whether a member that stands by the configuration at `position` may know of one that is not known here. */
  isNews(position: Index): boolean {
    return position > this.#position
  }

  /**
   * Believes a proof that goes as far as what is known, or further. Resolves with how many epochs it proves. Rejects `REFUSED`, `MALFORMED` or
   * `UNKNOWN_FORMAT` if it is none, or one of another history.
   */
  async learn(proof: Uint8Array): Promise<number> {
    const { digest, epochs: known } = this.#trust
    const { epochs, position, checks } = epochsIn(known[0]!, proof, digest)
    if (this.#isKnown(epochs.length)) return epochs.length
    checkEpochs(checks, await this.#verify(checks))
    // Another may have been faster meanwhile.
    if (this.#isKnown(epochs.length)) return epochs.length
    const { newest } = this
    // Only whoever holds the keys of a quorum and of the operators can bring this about: what was proven first stands.
    if (epochs[newest.epoch]!.domain !== newest.domain)
      throw new RaftkitError('REFUSED', `it proves another epoch ${newest.epoch} than the one that was proven before`)
    this.#trust = { digest, epochs }
    this.#position = position
    this.#proof = proof
    return epochs.length
  }
  #isKnown(count: number): boolean {
    const { length } = this.#trust.epochs
    return count < length || (count === length && this.#proof !== undefined)
  }
}
