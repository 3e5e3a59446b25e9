import { Reader, Writer } from '@raftkit/bytes'
import { RaftkitError } from '@raftkit/contract'
import { addressLimit, idLimit, incarnationLimit } from './config-encoding.ts'
import { readName, readSnapshotRecord, writeSnapshotRecord } from './durable.ts'
import type { Forwarded, Founder, Message, Placement } from './messages.ts'

/** Every message begins with this number; another one is refused, never guessed at. */
const messageFormat = 1

const tags = {
  requestVote: 1,
  vote: 2,
  appendEntries: 3,
  appended: 4,
  rejected: 5,
  offerSnapshot: 6,
  fetchSnapshot: 7,
  snapshotChunk: 8,
  timeoutNow: 9,
  forward: 10,
  forwardResult: 11,
  readIndex: 12,
  readIndexResult: 13,
  removed: 14,
  found: 15,
  handOver: 16,
  handOverRefused: 17,
} as const satisfies Record<Message['type'], number>

const typeOf: Message['type'][] = []
for (const [type, tag] of Object.entries(tags)) typeOf[tag] = type as Message['type']

/** The head first; records and snapshot bytes follow as they are, under checksums of their own. */
export function encodeMessage(message: Message): readonly Uint8Array[] {
  const writer = new Writer(96).u8(messageFormat).u8(tags[message.type])
  switch (message.type) {
    case 'requestVote':
      writer.u64(message.term).u8(flags(message.pre, message.transfer)).u64(message.ballot)
      writer.u64(message.lastIndex).u64(message.lastTerm)
      break
    case 'vote':
      writer.u64(message.term).u64(message.forTerm).u8(flags(message.pre, message.granted)).u64(message.ballot)
      break
    case 'appendEntries':
      writer.u64(message.term).u64(message.round).u64(message.prevIndex).u64(message.prevTerm)
      writer.u64(message.commit).u32(message.count)
      return [writer.finish(), ...message.records]
    case 'appended':
      writer.u64(message.term).u64(message.round).u64(message.match).u64(message.received)
      break
    case 'rejected':
      writer.u64(message.term).u64(message.round).u64(message.prevIndex)
      writer.u64(message.hintIndex).u64(message.hintTerm).u64(message.last)
      break
    case 'offerSnapshot':
      writeSnapshotRecord(writer.u64(message.term).u64(message.round), message.snapshot)
      break
    case 'fetchSnapshot':
      writer.text(message.name).u64(message.offset).u32(message.maxBytes)
      break
    case 'snapshotChunk':
      writer.text(message.name).u64(message.offset).u32(message.checksum)
      return [writer.finish(), message.bytes]
    case 'timeoutNow':
      writer.u64(message.term)
      break
    case 'handOver':
      writer.u64(message.term).u64(message.id).text(message.to)
      break
    case 'handOverRefused':
      writer.u64(message.id).text(message.code).text(message.reason)
      break
    case 'forward':
      writer.u64(message.term).u32(message.proposals.length)
      for (const { id, kind, time, seed, data } of message.proposals) {
        writer
          .u64(id)
          .u8(kind === 'change' ? 1 : 0)
          .u64(time)
          .u32(seed)
          .bytes(data)
      }
      break
    case 'forwardResult':
      writer.u32(message.placements.length)
      for (const placement of message.placements) {
        writer.u64(placement.id)
        if ('index' in placement) writer.u8(1).u64(placement.index).u64(placement.term)
        else writer.u8(0).text(placement.code).text(placement.reason)
      }
      break
    case 'readIndex':
      writer.u64(message.id)
      break
    case 'readIndexResult':
      writer
        .u64(message.id)
        .u8(message.index === undefined ? 0 : 1)
        .u64(message.index ?? 0)
      break
    case 'removed':
      writer.u64(message.index)
      break
    case 'found':
      writer.u8(message.done ? 1 : 0).u32(message.founders.length)
      for (const { id, address, incarnation } of message.founders)
        writer
          .text(id)
          .text(address ?? '')
          .text(incarnation)
      break
  }
  return [writer.finish()]
}

export function decodeMessage(bytes: Uint8Array): Message {
  const reader = new Reader(bytes)
  const format = reader.u8()
  if (format !== messageFormat) {
    throw new RaftkitError(
      'UNKNOWN_FORMAT',
      `message format ${format}; this version reads ${messageFormat}: upgrade this node`,
    )
  }
  const tag = reader.u8()
  const type = typeOf[tag]
  if (type === undefined) throw new RaftkitError('MALFORMED', `no message has tag ${tag}`)
  const message = readBody(type, reader)
  reader.end()
  return message
}

function readBody(type: Message['type'], reader: Reader): Message {
  switch (type) {
    case 'requestVote': {
      const term = reader.u64()
      const [pre, transfer] = readFlags(reader)
      return { type, term, pre, transfer, ballot: reader.u64(), lastIndex: reader.u64(), lastTerm: reader.u64() }
    }
    case 'vote': {
      const term = reader.u64()
      const forTerm = reader.u64()
      const [pre, granted] = readFlags(reader)
      return { type, term, forTerm, pre, granted, ballot: reader.u64() }
    }
    case 'appendEntries': {
      const term = reader.u64()
      const round = reader.u64()
      const prevIndex = reader.u64()
      const prevTerm = reader.u64()
      const commit = reader.u64()
      const count = reader.u32()
      const records = reader.remaining === 0 ? [] : [reader.rest()]
      if (prevIndex + count > Number.MAX_SAFE_INTEGER) throw new RaftkitError('MALFORMED', 'records beyond 2^53-1')
      return { type, term, round, prevIndex, prevTerm, commit, count, records }
    }
    case 'appended':
      return { type, term: reader.u64(), round: reader.u64(), match: reader.u64(), received: reader.u64() }
    case 'rejected':
      return {
        type,
        term: reader.u64(),
        round: reader.u64(),
        prevIndex: reader.u64(),
        hintIndex: reader.u64(),
        hintTerm: reader.u64(),
        last: reader.u64(),
      }
    case 'offerSnapshot':
      return { type, term: reader.u64(), round: reader.u64(), snapshot: readSnapshotRecord(reader) }
    case 'fetchSnapshot':
      return { type, name: readName(reader), offset: reader.u64(), maxBytes: reader.u32() }
    case 'snapshotChunk':
      return { type, name: readName(reader), offset: reader.u64(), checksum: reader.u32(), bytes: reader.rest() }
    case 'timeoutNow':
      return { type, term: reader.u64() }
    case 'handOver':
      return { type, term: reader.u64(), id: reader.u64(), to: reader.text(idLimit) }
    case 'handOverRefused':
      return { type, id: reader.u64(), code: reader.text(64), reason: reader.text(4096) }
    case 'forward': {
      const term = reader.u64()
      const proposals: Forwarded[] = []
      for (let left = reader.count(25); left > 0; left--) {
        proposals.push({
          id: reader.u64(),
          kind: reader.u8() === 1 ? 'change' : 'command',
          time: reader.u64(),
          seed: reader.u32(),
          data: reader.bytes(),
        })
      }
      return { type, term, proposals }
    }
    case 'forwardResult': {
      const placements: Placement[] = []
      for (let left = reader.count(17); left > 0; left--) {
        const id = reader.u64()
        placements.push(
          reader.u8() === 1
            ? { id, index: reader.u64(), term: reader.u64() }
            : { id, code: reader.text(64), reason: reader.text(4096) },
        )
      }
      return { type, placements }
    }
    case 'readIndex':
      return { type, id: reader.u64() }
    case 'readIndexResult': {
      const id = reader.u64()
      const known = reader.u8() === 1
      const index = reader.u64()
      return { type, id, index: known ? index : undefined }
    }
    case 'removed':
      return { type, index: reader.u64() }
    case 'found': {
      const done = reader.u8() === 1
      const founders: Founder[] = []
      for (let left = reader.count(12); left > 0; left--) {
        const id = reader.text(idLimit)
        const address = reader.text(addressLimit)
        founders.push({ id, address: address === '' ? undefined : address, incarnation: reader.text(incarnationLimit) })
      }
      return { type, done, founders }
    }
  }
}

const flags = (first: boolean, second: boolean): number => (first ? 1 : 0) | (second ? 2 : 0)

function readFlags(reader: Reader): [boolean, boolean] {
  const value = reader.u8()
  if (value > 3) throw new RaftkitError('MALFORMED', `flags ${value}`)
  return [(value & 1) !== 0, (value & 2) !== 0]
}
