import {
  type Certificate,
  type Digest,
  type Entry,
  type Hash,
  headerHash,
  type Message,
  type TermCertificate,
  type TermVote,
} from '@raftkit/bft'
import type { Index, Term } from '@raftkit/contract'

const most = 400

/** What liars heard and said, all of them together: they conspire. Keeps the newest. */
export class Knowledge {
  readonly entries: Map<Hash, Entry> = new Map()
  readonly messages: Message[] = []
  readonly certificates: Certificate[] = []
  readonly terms: TermCertificate[] = []
  /** Of the newest epoch that was heard of. */
  #epoch = 0
  /** Configurations that operators signed, each once. */
  readonly configurations: Map<string, Uint8Array> = new Map()
  /** Term votes of that epoch by term and signer. */
  readonly votes: Map<Term, Map<number, { readonly vote: TermVote; readonly lock: Certificate | undefined }>> =
    new Map()
  readonly #digest: Digest
  readonly #seen: WeakSet<Message> = new WeakSet()

  constructor(digest: Digest) {
    this.#digest = digest
  }

  learn(message: Message): void {
    if (this.#seen.has(message)) return
    this.#seen.add(message)
    remember(this.messages, message)
    switch (message.type) {
      case 'appendEntries':
        for (const entry of message.entries) this.keep(entry)
        if (message.proof) remember(this.terms, message.proof)
        break
      case 'fetched':
        for (const entry of message.entries) this.keep(entry)
        break
      case 'certified':
        remember(this.certificates, message.certificate)
        break
      case 'termCertified':
        remember(this.terms, message.certificate)
        break
      case 'configure':
        this.configurations.set(message.item.join(), message.item)
        break
      case 'requestVote': {
        if (message.epoch < this.#epoch) break
        if (message.epoch > this.#epoch) this.votes.clear()
        this.#epoch = message.epoch
        const votes = this.votes.get(message.term) ?? new Map()
        this.votes.set(message.term, votes.set(message.vote.signer, { vote: message.vote, lock: message.lock }))
        if (this.votes.size > 50) this.votes.delete(this.votes.keys().next().value!)
        if (message.lock) remember(this.certificates, message.lock)
        break
      }
    }
  }

  keep(entry: Entry): Hash {
    const hash = headerHash(this.#digest, entry.header)
    this.entries.set(hash, entry)
    if (this.entries.size > most) this.entries.delete(this.entries.keys().next().value!)
    return hash
  }

  /** All that were proposed there, by anybody. */
  at(index: Index): Hash[] {
    return [...this.entries].filter(([, { header }]) => header.index === index).map(([hash]) => hash)
  }
}

function remember<T>(list: T[], one: T): void {
  list.push(one)
  if (list.length > most) list.shift()
}
