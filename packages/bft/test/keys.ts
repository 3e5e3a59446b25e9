import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'
import { fromHex } from '@raftkit/bytes'
import {
  type Certificate,
  type Check,
  type Digest,
  type Entry,
  headerHash,
  itemsRoot,
  leadStatement,
  type Mandate,
  Members,
  type Phase,
  type Place,
  span,
  type TermCertificate,
  type TermVote,
  termCertificateHash,
  termVoteStatement,
  voteStatement,
} from '../src/index.ts'

export const sha256: Digest = (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest())

/** Ed25519 from a seed (RFC 8410's wrapping), so that keys and signatures are the same in every run. */
export class Key {
  readonly public: Uint8Array
  readonly #private: ReturnType<typeof createPrivateKey>

  constructor(name: string) {
    const seed = sha256(new TextEncoder().encode(`key of ${name}`))
    const der = Buffer.concat([fromHex('302e020100300506032b657004220420'), seed])
    this.#private = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    this.public = new Uint8Array(createPublicKey(this.#private).export({ format: 'der', type: 'spki' }).subarray(12))
  }

  sign(bytes: Uint8Array): Uint8Array {
    return new Uint8Array(sign(null, bytes, this.#private))
  }
}

export function isSigned({ key, bytes, signature }: Check): boolean {
  const der = Buffer.concat([fromHex('302a300506032b6570032100'), key])
  return verify(null, bytes, createPublicKey({ key: der, format: 'der', type: 'spki' }), signature)
}

export const zeros = '00'.repeat(32)

/** The entry before all others. */
export const founding: Entry = {
  header: { epoch: 0, index: 0, term: 0, kind: 'config', parent: zeros, root: zeros, position: 0, time: 0 },
  items: [],
}

export function child(parent: Entry, items: readonly Uint8Array[] = [], more: Partial<Entry['header']> = {}): Entry {
  const { header } = parent
  return {
    header: {
      ...header,
      epoch: header.kind === 'config' && header.index > 0 ? header.epoch + 1 : header.epoch,
      index: header.index + 1,
      kind: items.length === 0 ? 'noop' : 'data',
      parent: headerHash(sha256, header),
      root: itemsRoot(sha256, items),
      position: header.position + span(parent),
      ...more,
    },
    items,
  }
}

/** Members m0 … with their keys, and what they would sign. */
export class Signers {
  readonly keys: readonly Key[]
  readonly members: Members

  constructor(n: number, epoch = 0) {
    this.keys = Array.from({ length: n }, (_, i) => new Key(`m${i}`))
    const list = this.keys.map((key, i) => ({ id: `m${i}`, key: key.public }))
    this.members = new Members(sha256, epoch, list, { index: 0, hash: headerHash(sha256, founding.header) })
  }

  certificate(phase: Phase, place: Place, signers: readonly number[]): Certificate {
    const bytes = voteStatement(this.members.domain, phase, place)
    const signatures = signers.map((signer) => ({ signer, signature: this.keys[signer]!.sign(bytes) }))
    return { phase, epoch: this.members.epoch, place, signatures }
  }

  termVote(signer: number, term: number, lock: Place | undefined): TermVote {
    const signature = this.keys[signer]!.sign(termVoteStatement(this.members.domain, term, lock))
    return { signer, lock, signature }
  }

  /** As the leader of its term would show it. */
  mandate(certificate: TermCertificate): Mandate {
    const { term } = certificate
    const bytes = leadStatement(this.members.domain, term, termCertificateHash(sha256, certificate))
    return { ...certificate, signature: this.keys[term % this.keys.length]!.sign(bytes) }
  }

  termCertificate(term: number, locks: readonly (Place | undefined)[], lock?: Certificate): TermCertificate {
    const votes = locks.map((claim, signer) => this.termVote(signer, term, claim))
    return { epoch: this.members.epoch, term, votes, lock }
  }
}
