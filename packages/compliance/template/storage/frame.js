// @ts-check
// The journal's layout: a header, then one frame per write. Integers are little-endian.
//
//     header  "RKJ1" u32 generation u32 crc32
//     frame   u32 length of the body, u32 crc32 of the body, body
//     body    u8 which fields there are, f64 at, u32 count, f64 compactTo, u32 length of the state, state, run
//
// Every checksum is seeded with the group's name, a frame's with its place too: what is in the wrong file or the wrong place is found
// like a flipped bit.
import { crc32 } from 'node:zlib'
import { RaftkitError } from '@raftkit/contract'

/** @import { LogWrite, Run } from '@raftkit/contract' */

export const headerBytes = 12
const magic = 0x314a4b52
const prefixBytes = 8
const fixedBytes = 25
const fields = { tail: 1, reset: 2, compactTo: 4, state: 8 }

/** @param {string} group @param {number} generation counts the times that the journal was written anew */
export function encodeHeader(group, generation) {
  const bytes = Buffer.alloc(headerBytes)
  bytes.writeUInt32LE(magic, 0)
  bytes.writeUInt32LE(generation, 4)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 8), crc32(group)), 8)
  return bytes
}

/** The generation, or undefined. @param {Uint8Array} bytes @param {string} group */
export function decodeHeader(bytes, group) {
  if (bytes.length < headerBytes) return undefined
  const view = viewOf(bytes)
  const intact =
    view.getUint32(0, true) === magic && view.getUint32(8, true) === crc32(bytes.subarray(0, 8), crc32(group))
  return intact ? view.getUint32(4, true) : undefined
}

/** @param {LogWrite} change @param {number} position where the file will have it @param {string} group */
export function encodeFrame({ tail, compactTo, state }, position, group) {
  const runBytes = tail?.run.bytes ?? new Uint8Array(0)
  const stateBytes = state ?? new Uint8Array(0)
  const frame = Buffer.alloc(prefixBytes + fixedBytes + stateBytes.length + runBytes.length)
  const body = frame.subarray(prefixBytes)
  const held =
    (tail ? fields.tail : 0) | (tail?.reset ? fields.reset : 0) | (compactTo === undefined ? 0 : fields.compactTo)
  body.writeUInt8(held | (state ? fields.state : 0), 0)
  body.writeDoubleLE(tail?.at ?? 0, 1)
  body.writeUInt32LE(tail?.run.count ?? 0, 9)
  body.writeDoubleLE(compactTo ?? 0, 13)
  body.writeUInt32LE(stateBytes.length, 21)
  body.set(stateBytes, fixedBytes)
  body.set(runBytes, fixedBytes + stateBytes.length)
  frame.writeUInt32LE(body.length, 0)
  frame.writeUInt32LE(checksum(body, position, group), 4)
  return frame
}

/** The write whose frame is at `position`; undefined when there is no intact one. @param {Uint8Array} bytes @param {number} position @param {string} group */
export function decodeFrame(bytes, position, group) {
  const bodyAt = position + prefixBytes
  if (bodyAt + fixedBytes > bytes.length) return undefined
  const view = viewOf(bytes)
  const end = bodyAt + view.getUint32(position, true)
  if (end > bytes.length || end < bodyAt + fixedBytes) return undefined
  const body = bytes.subarray(bodyAt, end)
  if (view.getUint32(position + 4, true) !== checksum(body, position, group)) return undefined
  const held = view.getUint8(bodyAt)
  const stateEnd = bodyAt + fixedBytes + view.getUint32(bodyAt + 21, true)
  const run = { count: view.getUint32(bodyAt + 9, true), bytes: bytes.subarray(stateEnd, end) }
  const reset = held & fields.reset ? { reset: /** @type {const} */ (true) } : {}
  /** @type {LogWrite} */
  const change = {
    ...(held & fields.tail && { tail: { at: view.getFloat64(bodyAt + 1, true), run, ...reset } }),
    ...(held & fields.compactTo && { compactTo: view.getFloat64(bodyAt + 13, true) }),
    ...(held & fields.state && { state: bytes.subarray(bodyAt + fixedBytes, stateEnd) }),
  }
  return { change, bytes: end - position }
}

/** Where in a frame the records begin. @param {LogWrite} change */
export const runOffset = ({ state }) => prefixBytes + fixedBytes + (state?.length ?? 0)

/** The records of a run, as views. Each begins with its length; that is all that is known of them. @param {Run} run */
export function split({ count, bytes }) {
  const records = []
  const view = viewOf(bytes)
  let at = 0
  while (at + 4 <= bytes.length) {
    const end = at + view.getUint32(at, true)
    if (end < at + 4 || end > bytes.length) break
    records.push(bytes.subarray(at, end))
    at = end
  }
  if (at !== bytes.length || records.length !== count)
    throw new RaftkitError('INVALID_OPTION', `the run is not ${count} records end to end`)
  return records
}

/** @param {Uint8Array} body @param {number} position @param {string} group */
const checksum = (body, position, group) => crc32(body, crc32(`${position} ${group}`))

/** @param {Uint8Array} bytes */
const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
