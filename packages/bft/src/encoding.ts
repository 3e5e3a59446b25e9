import { Reader, Writer } from '@raftkit/bytes'
import { RaftkitError } from '@raftkit/contract'
import type { Certificate, Mandate, Signature, TermCertificate, TermVote } from './certificate.ts'
import { readCheckpoint, readCheckpointCertificate, writeCheckpoint, writeCheckpointCertificate } from './checkpoint.ts'
import { type Entry, headerBytes, readEntry, writeEntry } from './entry.ts'
import type { Step } from './epochs.ts'
import { type Digest, type Hash, hashOf, rawHash, readHash } from './hash.ts'
import type { Message } from './messages.ts'
import { signatureLimit } from './request.ts'
import type { Phase, Place } from './statement.ts'

/** Every message begins with this number; another one is refused, never guessed at. */
const messageFormat = 1

const tags = {
  appendEntries: 1,
  vote: 2,
  preVote: 3,
  requestVote: 4,
  certified: 5,
  termCertified: 6,
  fetch: 7,
  fetched: 8,
  forward: 9,
  checkpoint: 10,
  checkpointed: 11,
  fetchPages: 12,
  page: 13,
  witness: 20,
  evidence: 21,
  forked: 22,
  epochs: 23,
  configure: 24,
} as const satisfies Record<Message['type'], number>

const typeOf: Message['type'][] = []
for (const [type, tag] of Object.entries(tags)) typeOf[tag] = type as Message['type']

const phases: readonly Phase[] = ['append', 'commit']

export function encodeMessage(message: Message): Uint8Array {
  const writer = new Writer(256).u8(messageFormat).u8(tags[message.type])
  switch (message.type) {
    case 'appendEntries':
      writer.u64(message.epoch).u64(message.term).bytes(message.signature)
      optional(writer, message.proof, writeMandate)
      writeEntries(writer, message.entries)
      break
    case 'vote':
      writer.u64(message.epoch).u8(phases.indexOf(message.phase))
      writePlace(writer, message.place).bytes(message.signature)
      break
    case 'preVote':
      writer.u64(message.epoch).u64(message.term)
      break
    case 'requestVote':
      writer.u64(message.epoch).u64(message.term)
      writeTermVote(writer, message.vote)
      optional(writer, message.lock, writeCertificate)
      break
    case 'certified':
      writeCertificate(writer, message.certificate)
      break
    case 'termCertified':
      writeTermCertificate(writer, message.certificate)
      break
    case 'fetch':
      writer.raw(rawHash(message.hash)).u64(message.above)
      break
    case 'fetched':
      writeEntries(writer, message.entries)
      break
    case 'checkpoint':
      writeCheckpoint(writer, message.checkpoint).bytes(message.signature)
      break
    case 'checkpointed':
      writeCheckpointCertificate(writer, message.certificate)
      break
    case 'fetchPages':
      writer.u64(message.index).raw(rawHash(message.root)).u32(message.at)
      break
    case 'page':
      writer.raw(rawHash(message.root)).u32(message.at).u32(message.count).u32(message.path.length)
      for (const hash of message.path) writer.raw(rawHash(hash))
      writer.bytes(message.bytes)
      break
    case 'witness':
      writer.u64(message.epoch).u8(message.signer).u8(phases.indexOf(message.phase))
      writePlace(writer, message.place).bytes(message.signature)
      break
    case 'evidence':
      writer.bytes(message.bytes)
      break
    case 'epochs':
      writer.u32(message.steps.length)
      for (const step of message.steps) writeStep(writer, step)
      break
    case 'configure':
      writer.bytes(message.item)
      break
    case 'forked':
      writer.bytes(message.dump)
      break
    case 'forward':
      writer.u32(message.requests.length)
      for (const request of message.requests) writer.bytes(request)
      break
  }
  return writer.finish()
}

/** Throws `MALFORMED` or `UNKNOWN_FORMAT`. A message has one encoding; what is read may still be a lie. */
export function decodeMessage(bytes: Uint8Array): Message {
  const reader = new Reader(bytes)
  const format = reader.u8()
  if (format !== messageFormat)
    throw new RaftkitError(
      'UNKNOWN_FORMAT',
      `message format ${format}; this version reads ${messageFormat}: upgrade this node`,
    )
  const tag = reader.u8()
  const type = typeOf[tag]
  if (type === undefined) throw new RaftkitError('MALFORMED', `no message has tag ${tag}`)
  const message = readBody(type, reader)
  reader.end()
  return message
}

function readBody(type: Message['type'], reader: Reader): Message {
  switch (type) {
    case 'appendEntries': {
      const epoch = reader.u64()
      const term = reader.u64()
      const signature = reader.bytes(signatureLimit)
      const proof = maybe(reader, readMandate)
      return { type, epoch, term, signature, proof, entries: readEntries(reader) }
    }
    case 'vote':
      return {
        type,
        epoch: reader.u64(),
        phase: readPhase(reader),
        place: readPlace(reader),
        signature: reader.bytes(signatureLimit),
      }
    case 'preVote':
      return { type, epoch: reader.u64(), term: reader.u64() }
    case 'requestVote':
      return {
        type,
        epoch: reader.u64(),
        term: reader.u64(),
        vote: readTermVote(reader),
        lock: maybe(reader, readCertificate),
      }
    case 'certified':
      return { type, certificate: readCertificate(reader) }
    case 'termCertified':
      return { type, certificate: readTermCertificate(reader) }
    case 'fetch':
      return { type, hash: readHash(reader), above: reader.u64() }
    case 'fetched':
      return { type, entries: readEntries(reader) }
    case 'checkpoint':
      return { type, checkpoint: readCheckpoint(reader), signature: reader.bytes(signatureLimit) }
    case 'checkpointed':
      return { type, certificate: readCheckpointCertificate(reader) }
    case 'fetchPages':
      return { type, index: reader.u64(), root: readHash(reader), at: reader.u32() }
    case 'page': {
      const [root, at, count] = [readHash(reader), reader.u32(), reader.u32()]
      const path = Array.from({ length: reader.count(32) }, () => readHash(reader))
      return { type, root, at, count, path, bytes: reader.bytes() }
    }
    case 'witness':
      return {
        type,
        epoch: reader.u64(),
        signer: reader.u8(),
        phase: readPhase(reader),
        place: readPlace(reader),
        signature: reader.bytes(signatureLimit),
      }
    case 'evidence':
      return { type, bytes: reader.bytes() }
    case 'epochs':
      return { type, steps: Array.from({ length: reader.count(headerBytes) }, () => readStep(reader)) }
    case 'configure':
      return { type, item: reader.bytes() }
    case 'forked':
      return { type, dump: reader.bytes() }
    case 'forward':
      return { type, requests: Array.from({ length: reader.count(4) }, () => reader.bytes()) }
  }
}

export function writeCertificate(writer: Writer, { phase, epoch, place, signatures }: Certificate): void {
  writePlace(writer.u8(phases.indexOf(phase)).u64(epoch), place).u32(signatures.length)
  for (const one of signatures) writeSignature(writer, one)
}

export function readCertificate(reader: Reader): Certificate {
  const phase = readPhase(reader)
  const epoch = reader.u64()
  const place = readPlace(reader)
  return { phase, epoch, place, signatures: Array.from({ length: reader.count(5) }, () => readSignature(reader)) }
}

export function writeStep(writer: Writer, { entry, certificate }: Step): void {
  writeEntry(writer, entry)
  writeCertificate(writer, certificate)
}

export const readStep = (reader: Reader): Step => ({ entry: readEntry(reader), certificate: readCertificate(reader) })

export function writeTermCertificate(writer: Writer, { epoch, term, votes, lock }: TermCertificate): void {
  writer.u64(epoch).u64(term).u32(votes.length)
  for (const vote of votes) writeTermVote(writer, vote)
  optional(writer, lock, writeCertificate)
}

export function readTermCertificate(reader: Reader): TermCertificate {
  const epoch = reader.u64()
  const term = reader.u64()
  const votes = Array.from({ length: reader.count(6) }, () => readTermVote(reader))
  return { epoch, term, votes, lock: maybe(reader, readCertificate) }
}

export function writeMandate(writer: Writer, mandate: Mandate): void {
  writeTermCertificate(writer, mandate)
  writer.bytes(mandate.signature)
}

export function readMandate(reader: Reader): Mandate {
  return { ...readTermCertificate(reader), signature: reader.bytes(signatureLimit) }
}

/** What a leader signs of the certificate that it leads under. */
export function termCertificateHash(digest: Digest, certificate: TermCertificate): Hash {
  const writer = new Writer(1024)
  writeTermCertificate(writer, certificate)
  return hashOf(digest, 'raftkit term certificate 1', writer.finish())
}

function writeTermVote(writer: Writer, vote: TermVote): void {
  writeSignature(writer, vote)
  optional(writer, vote.lock, writePlace)
}

function readTermVote(reader: Reader): TermVote {
  return { ...readSignature(reader), lock: maybe(reader, readPlace) }
}

function writeSignature(writer: Writer, { signer, signature }: Signature): void {
  writer.u8(signer).bytes(signature)
}

const readSignature = (reader: Reader): Signature => ({
  signer: reader.u8(),
  signature: reader.bytes(signatureLimit),
})

export function writePlace(writer: Writer, { term, index, hash }: Place): Writer {
  return writer.u64(term).u64(index).raw(rawHash(hash))
}

export const readPlace = (reader: Reader): Place => ({
  term: reader.u64(),
  index: reader.u64(),
  hash: readHash(reader),
})

function writeEntries(writer: Writer, entries: readonly Entry[]): void {
  writer.u32(entries.length)
  for (const entry of entries) writeEntry(writer, entry)
}

const readEntries = (reader: Reader): Entry[] =>
  Array.from({ length: reader.count(headerBytes + 4) }, () => readEntry(reader))

function readPhase(reader: Reader): Phase {
  const phase = phases[reader.u8()]
  if (phase === undefined) throw new RaftkitError('MALFORMED', 'a vote is of no known phase')
  return phase
}

export function optional<T>(writer: Writer, value: T | undefined, write: (writer: Writer, value: T) => unknown): void {
  writer.u8(value === undefined ? 0 : 1)
  if (value !== undefined) write(writer, value)
}

export function maybe<T>(reader: Reader, read: (reader: Reader) => T): T | undefined {
  const flag = reader.u8()
  if (flag > 1) throw new RaftkitError('MALFORMED', `${flag} where 0 or 1 is due`)
  return flag === 0 ? undefined : read(reader)
}
