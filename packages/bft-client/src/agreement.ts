import { type Digest, faults } from '@raftkit/bft'
import { toHex } from '@raftkit/bytes'
import type { NodeId } from '@raftkit/contract'
import { type Answer, answerBytes } from './envelope.ts'

/**
 * What members said to one ask. Each has one voice, its last. What f + 1 say alike an honest one says: that stands, and whoever said otherwise
 * is wrong.
 */
export class Agreement {
  readonly needed: number
  readonly #digest: Digest
  readonly #said: Map<NodeId, { readonly hash: string; readonly answer: Answer }> = new Map()

  constructor(members: number, digest: Digest) {
    this.needed = faults(members) + 1
    this.#digest = digest
  }

  /** How many say what most say. */
  get most(): number {
    return Math.max(0, ...[...this.#counts().values()])
  }

  get heard(): number {
    return this.#said.size
  }

  hear(member: NodeId, answer: Answer): void {
    // A reason is prose, which versions may word in other ways: the code is what they agree on.
    const meant = answer.type === 'failed' ? { ...answer, reason: '' } : answer
    this.#said.set(member, { hash: toHex(this.#digest(answerBytes(meant))), answer })
  }

  get agreed():
    | { readonly answer: Answer; readonly by: readonly NodeId[]; readonly against: readonly NodeId[] }
    | undefined {
    const [hash] = [...this.#counts()].find(([, count]) => count >= this.needed) ?? []
    if (hash === undefined) return undefined
    const voices = [...this.#said]
    const by = voices.filter(([, said]) => said.hash === hash)
    const against = voices.filter(([, said]) => said.hash !== hash).map(([member]) => member)
    return { answer: by[0]![1].answer, by: by.map(([member]) => member), against }
  }

  #counts(): Map<string, number> {
    const counts = new Map<string, number>()
    for (const { hash } of this.#said.values()) counts.set(hash, (counts.get(hash) ?? 0) + 1)
    return counts
  }
}
