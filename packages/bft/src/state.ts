import { Writer } from '@raftkit/bytes'
import type { Certificate, TermCertificate } from './certificate.ts'
import { optional, writeCertificate, writePlace, writeTermCertificate } from './encoding.ts'
import { rawHash } from './hash.ts'
import type { Ballot } from './rules.ts'

/** The state blob of the LogStore: everything a member has promised, and what proves it. */
export interface State {
  readonly ballot: Ballot
  readonly lock: Certificate | undefined
  readonly stated: Certificate | undefined
  readonly proof: TermCertificate | undefined
  readonly commit: Certificate | undefined
}

const stateFormat = 1

export function encodeState({ ballot, lock, stated, proof, commit }: State): Uint8Array {
  const writer = new Writer(1024).u8(stateFormat).u64(ballot.term)
  optional(writer, ballot.tip, (to, hash) => to.raw(rawHash(hash)))
  writer.u8(ballot.stated === undefined ? 0 : ballot.stated === 'none' ? 1 : 2)
  if (ballot.stated !== undefined && ballot.stated !== 'none') writePlace(writer, ballot.stated)
  optional(writer, lock, writeCertificate)
  optional(writer, stated, writeCertificate)
  optional(writer, proof, writeTermCertificate)
  optional(writer, commit, writeCertificate)
  return writer.finish()
}
