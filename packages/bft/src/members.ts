import { Writer } from '@raftkit/bytes'
import { type Index, type NodeId, RaftkitError, type Term } from '@raftkit/contract'
import { type Digest, type Hash, hashOf, isEqual, rawHash } from './hash.ts'

/** How many of `n` members may be Byzantine. */
export const faults = (n: number): number => Math.floor((n - 1) / 3)

/** Any two quorums share f + 1 members, so an honest one; those that are honest are a quorum by themselves. */
export const quorum = (n: number): number => Math.floor((n + faults(n)) / 2) + 1

/** Signers are named by their place in this order, in one byte. */
const mostMembers = 100

export interface Voter {
  readonly id: NodeId
  /** Of its signatures; public. */
  readonly key: Uint8Array
  /** Where others dial it. It may change, and no signature of an epoch is bound to it. */
  readonly address?: string
}

/** Who may change the members: any `threshold` of these keys together. */
export interface Operators {
  readonly keys: readonly Uint8Array[]
  readonly threshold: number
}

const mostOperators = 32

/** Who votes in one epoch, and what every signature of that epoch is bound to. Immutable. */
export class Members {
  readonly epoch: number
  /** By id. */
  readonly list: readonly Voter[]
  /** The entry this epoch begins with: the configuration that ended the one before; in epoch 0 the founding, at index 0. */
  readonly genesis: { readonly index: Index; readonly hash: Hash }
  /** Stands for cluster, history and keys: a signature of another cluster, epoch or set of keys is none here. */
  readonly domain: Hash
  /** Undefined: the members stay who they are. */
  readonly operators: Operators | undefined
  readonly quorum: number
  readonly faults: number

  constructor(
    digest: Digest,
    epoch: number,
    list: readonly Voter[],
    genesis: { index: Index; hash: Hash },
    operators?: Operators,
  ) {
    this.epoch = epoch
    this.list = [...list].sort((a, b) => (a.id < b.id ? -1 : 1))
    const { length } = this.list
    if (length < 4)
      throw new RaftkitError('INVALID_OPTION', `${length} members stand no fault: a Byzantine cluster has at least 4`)
    if (length > mostMembers)
      throw new RaftkitError('INVALID_OPTION', `${length} members: at most ${mostMembers} can be certified`)
    const writer = new Writer().u64(epoch).u64(genesis.index).raw(rawHash(genesis.hash)).u32(length)
    for (const [at, { id, key }] of this.list.entries()) {
      if (this.list[at + 1]?.id === id) throw new RaftkitError('INVALID_OPTION', `${id} is a member twice`)
      writer.text(id).bytes(key)
    }
    const keys = new Set(this.list.map(({ key }) => key.join()))
    if (keys.size < length) throw new RaftkitError('INVALID_OPTION', 'two members share a key: each needs its own')
    if (operators !== undefined) {
      const { keys: theirs, threshold } = operators
      if (theirs.length > mostOperators || new Set(theirs.map((key) => key.join())).size < theirs.length)
        throw new RaftkitError('INVALID_OPTION', `operators are at most ${mostOperators}, each with its own key`)
      if (!Number.isInteger(threshold) || threshold < 1 || threshold > theirs.length)
        throw new RaftkitError('INVALID_OPTION', `${threshold} of ${theirs.length} operators cannot sign`)
      writer.u32(threshold).u32(theirs.length)
      for (const key of theirs) writer.bytes(key)
    }
    this.genesis = genesis
    this.operators = operators
    this.domain = hashOf(digest, 'raftkit epoch 1', writer.finish())
    this.quorum = quorum(length)
    this.faults = faults(length)
  }

  /** Nobody stands for election: each term has its leader, so nobody can rush in (Tangaroa's self-nomination). */
  leader(term: Term): NodeId {
    return this.list[term % this.list.length]!.id
  }

  /** Undefined: no member, or not under that key. */
  signer(id: NodeId, key?: Uint8Array): number | undefined {
    const at = this.list.findIndex((member) => member.id === id && (key === undefined || isEqual(member.key, key)))
    return at < 0 ? undefined : at
  }
}
