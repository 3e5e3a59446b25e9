import { crc32, Reader, Writer } from '@raftkit/bytes'
import { type GroupId, type Lane, RaftkitError } from '@raftkit/contract'
import { identity, identityText } from './hello.ts'
import { isName } from './names.ts'

/*
 * One frame carries many messages, of any groups of one host to one peer, little-endian:
 *
 *    0  u8   format
 *    1  u8   lane: 0 control, 1 bulk
 *    2       genesis, 16 bytes; zero: the sender has none yet
 *   18  u32  crc32 of bytes 0 … 17, the index and all heads
 *   22       the index: u32 count, then for each message
 *              text group · 16 bytes sender's incarnation · 16 bytes receiver's (zero: any) · u32 bytes of head · u32 bytes of tail
 *            the messages: head, tail, head, tail …
 *
 * A tail holds records or pieces of snapshots, which carry checksums of their own: they are not summed again on every hop.
 */
const frameFormat = 1
const checksumAt = 18
const headerBytes = 22
const lanes: readonly Lane[] = ['control', 'bulk']
const entryBytes = (groupBytes: number): number => 4 + groupBytes + 16 + 16 + 4 + 4

/** A message on its way: the first part is the head, the others are the tail. */
export interface FrameMessage {
  readonly group: GroupId
  /** Incarnation of the sender, 32 hex digits. */
  readonly from: string
  /** Meant for this incarnation of the receiver only; '' for any. */
  readonly to: string
  readonly parts: readonly Uint8Array[]
}

export interface ReceivedMessage {
  readonly group: GroupId
  readonly from: string
  readonly to: string
  /** Head and tail, end to end: a view of the frame. */
  readonly bytes: Uint8Array
}

export interface Frame {
  readonly lane: Lane
  readonly genesis: string
  readonly messages: readonly ReceivedMessage[]
}

/** What a frame adds to one message of `group`. */
export const frameOverhead = (group: GroupId): number => headerBytes + 4 + entryBytes(group.length)

/** Bytes that `message` takes within a frame. */
export function messageBytes(message: FrameMessage): number {
  let bytes = entryBytes(message.group.length)
  for (const part of message.parts) bytes += part.length
  return bytes
}

/** Bytes of a frame that holds messages of so many bytes altogether. */
export const frameBytes = (messages: number): number => headerBytes + 4 + messages

/** The parts of one frame; those of the messages are handed on, not copied. */
export function encodeFrame(lane: Lane, genesis: string, messages: readonly FrameMessage[]): Uint8Array[] {
  const header = new Writer(headerBytes + 64 * messages.length)
    .u8(frameFormat)
    .u8(lanes.indexOf(lane))
    .raw(identity(genesis))
    .u32(0)
    .u32(messages.length)
  for (const { group, from, to, parts } of messages) {
    const head = parts[0]?.length ?? 0
    let tail = -head
    for (const part of parts) tail += part.length
    header.text(group).raw(identity(from)).raw(identity(to)).u32(head).u32(tail)
  }
  const front = header.finish()
  let checksum = checksumOf(front, front.length)
  for (const { parts } of messages) if (parts[0]) checksum = crc32(parts[0], checksum)
  new DataView(front.buffer, front.byteOffset).setUint32(checksumAt, checksum, true)
  return [front, ...messages.flatMap(({ parts }) => parts)]
}

/** Throws `MALFORMED` or `UNKNOWN_FORMAT`; allocates in proportion to `bytes`. */
export function decodeFrame(bytes: Uint8Array): Frame {
  const reader = new Reader(bytes)
  const format = reader.u8()
  if (format !== frameFormat)
    throw new RaftkitError('UNKNOWN_FORMAT', `a frame of format ${format}; this version reads ${frameFormat}`)
  const lane = lanes[reader.u8()]
  if (!lane) throw new RaftkitError('MALFORMED', 'a frame of no lane')
  const genesis = identityText(reader.raw(16))
  const expected = reader.u32()
  const count = reader.count(entryBytes(1))
  const index: { group: string; from: string; to: string; head: number; tail: number }[] = []
  for (let i = 0; i < count; i++) {
    const group = reader.text(64)
    const [from, to] = [identityText(reader.raw(16)), identityText(reader.raw(16))]
    index.push({ group, from, to, head: reader.u32(), tail: reader.u32() })
  }
  let checksum = checksumOf(bytes, reader.position)
  const messages: ReceivedMessage[] = []
  for (const { group, from, to, head, tail } of index) {
    const message = reader.raw(head + tail)
    checksum = crc32(message, checksum, 0, head)
    messages.push({ group, from, to, bytes: message })
  }
  reader.end()
  if (checksum !== expected) throw new RaftkitError('MALFORMED', 'the checksum of a frame is wrong')
  for (const { group, from } of messages)
    if (!isName(group) || from === '')
      throw new RaftkitError('MALFORMED', 'a message in a frame does not say whose it is')
  return { lane, genesis, messages }
}

/** Of header and index, the checksum's own field left out. */
function checksumOf(bytes: Uint8Array, end: number): number {
  return crc32(bytes, crc32(bytes, 0, 0, checksumAt), headerBytes, end)
}
