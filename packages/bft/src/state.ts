import { Reader, Writer } from '@raftkit/bytes'
import { RaftkitError } from '@raftkit/contract'
import type { Certificate, Mandate } from './certificate.ts'
import {
  maybe,
  optional,
  readCertificate,
  readMandate,
  readPlace,
  writeCertificate,
  writeMandate,
  writePlace,
} from './encoding.ts'
import { rawHash, readHash } from './hash.ts'
import type { Ballot } from './rules.ts'

/** The state blob of the LogStore: everything a member has promised, and what proves it. */
export interface State {
  readonly ballot: Ballot
  readonly lock: Certificate | undefined
  readonly stated: Certificate | undefined
  readonly proof: Mandate | undefined
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
  optional(writer, proof, writeMandate)
  optional(writer, commit, writeCertificate)
  return writer.finish()
}

export function decodeState(bytes: Uint8Array): State {
  const reader = new Reader(bytes)
  const format = reader.u8()
  if (format !== stateFormat)
    throw new RaftkitError(
      'UNKNOWN_FORMAT',
      `state format ${format}; this version reads ${stateFormat}: use the version that wrote it`,
    )
  const term = reader.u64()
  const tip = maybe(reader, readHash)
  const kind = reader.u8()
  if (kind > 2) throw new RaftkitError('MALFORMED', `${kind} says nothing about a term vote`)
  const claim = kind === 0 ? undefined : kind === 1 ? 'none' : readPlace(reader)
  const lock = maybe(reader, readCertificate)
  const stated = maybe(reader, readCertificate)
  const proof = maybe(reader, readMandate)
  const commit = maybe(reader, readCertificate)
  reader.end()
  return { ballot: { term, tip, lock: lock?.place, stated: claim }, lock, stated, proof, commit }
}
