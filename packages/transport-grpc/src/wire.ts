import { type Hello, maxGreetingBytes } from '@raftkit/links'

/**
 * The messages of transport.proto, by hand: what is on the wire is protobuf, but a schema is never loaded at run time,
 * and a frame is copied once on its way out and not at all on its way in.
 */

/** Of an encoded Hello, and of a message before frames. */
export const maxHelloBytes: number = maxGreetingBytes + 100
const lifeBytes = 8

/** A key of protobuf: field number and wire type. */
const bytesField = (field: number) => (field << 3) | 2
const numberField = (field: number) => field << 3

/** What one frame costs on top of its bytes, at most: a key and a length below 2^32. */
export const frameOverhead = 6

export function encodeHello({ hello, life, maxFrameBytes, nonce, proof }: Hello): Buffer {
  return Buffer.concat([
    field(1, hello),
    field(2, Buffer.from(life, 'hex')),
    Buffer.from([numberField(3), ...varint(maxFrameBytes)]),
    field(4, nonce),
    // As protobuf has it: what is empty is left out.
    proof.length > 0 ? field(5, proof) : nothing,
  ])
}

const nothing = Buffer.alloc(0)

function field(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([bytesField(number), ...varint(bytes.length)]), bytes])
}

/** Undefined: malformed. Fields that it does not know are passed over, as protobuf wants, unless their kind is unknown as well. */
export function decodeHello(bytes: Uint8Array): Hello | undefined {
  if (bytes.length > maxHelloBytes) return undefined
  let hello: Uint8Array | undefined
  let life: Uint8Array | undefined
  let maxFrameBytes: number | undefined
  let nonce: Uint8Array = nothing
  let proof: Uint8Array = nothing
  const reader = new Reader(bytes)
  while (reader.offset < bytes.length) {
    const key = reader.number()
    const value = (key & 7) === 2 ? reader.slice() : (key & 7) === 0 ? reader.number() : undefined
    if (reader.failed || value === undefined) return undefined
    if (key === bytesField(1)) hello = value as Uint8Array
    if (key === bytesField(2)) life = value as Uint8Array
    if (key === numberField(3)) maxFrameBytes = value as number
    if (key === bytesField(4)) nonce = value as Uint8Array
    if (key === bytesField(5)) proof = value as Uint8Array
  }
  if (!hello || life?.length !== lifeBytes || maxFrameBytes === undefined) return undefined
  return {
    hello: new Uint8Array(hello),
    life: Buffer.from(life).toString('hex'),
    maxFrameBytes,
    nonce: new Uint8Array(nonce),
    proof: new Uint8Array(proof),
  }
}

/** What is said in messages before frames. `admitted` is an empty message. */
export type Opening =
  | { readonly kind: 'admitted' }
  | { readonly kind: 'proof'; readonly proof: Uint8Array }
  | { readonly kind: 'hello'; readonly hello: Hello }
  | { readonly kind: 'refused'; readonly reason: string }

export function encodeOpening(opening: Opening): Buffer {
  switch (opening.kind) {
    case 'admitted':
      return nothing
    case 'proof':
      return field(2, opening.proof)
    case 'hello':
      return field(3, encodeHello(opening.hello))
    case 'refused':
      return field(4, Buffer.from(opening.reason, 'latin1'))
  }
}

/** Undefined: malformed. */
export function decodeOpening(message: Uint8Array): Opening | undefined {
  if (message.length === 0) return { kind: 'admitted' }
  if (message.length > maxHelloBytes) return undefined
  const reader = new Reader(message)
  const key = reader.number()
  const bytes = reader.slice()
  if (reader.failed || bytes === undefined || reader.offset < message.length) return undefined
  if (key === bytesField(2)) return { kind: 'proof', proof: new Uint8Array(bytes) }
  if (key === bytesField(4)) return { kind: 'refused', reason: Buffer.from(bytes).toString('latin1') }
  const hello = key === bytesField(3) ? decodeHello(bytes) : undefined
  return hello && { kind: 'hello', hello }
}

/** A Frames of `count` frames, each given by its parts. `bytes`: the sum of all parts. */
export function encodeFrames(frames: readonly (readonly Uint8Array[])[], bytes: number): Buffer {
  const message = Buffer.allocUnsafe(bytes + frames.length * frameOverhead)
  let offset = 0
  for (const parts of frames) {
    let length = 0
    for (const part of parts) length += part.length
    message[offset++] = bytesField(1)
    while (length > 0x7f) {
      message[offset++] = (length & 0x7f) | 0x80
      length >>>= 7
    }
    message[offset++] = length
    for (const part of parts) {
      message.set(part, offset)
      offset += part.length
    }
  }
  return message.subarray(0, offset)
}

/**
 * Hands over the frames of a Frames, as views of it. False: malformed from there on.
 * No list of them is made: two bytes on the wire are enough for an empty frame, so a list could be much larger than the message.
 */
export function readFrames(message: Uint8Array, frame: (frame: Uint8Array) => void): boolean {
  const reader = new Reader(message)
  while (reader.offset < message.length) {
    if (reader.number() !== bytesField(1)) return false
    const bytes = reader.slice()
    if (reader.failed || bytes === undefined) return false
    frame(bytes)
  }
  return true
}

class Reader {
  offset = 0
  failed = false
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    // Views of a Buffer would be Buffers, whose slice() does not copy, unlike that of what our types promise.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  /** An unsigned number below 2^32. */
  number(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes[this.offset++]
      if (byte === undefined) break
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80 && value < 2 ** 32) return value
      if (byte < 0x80) break
    }
    this.failed = true
    return 0
  }

  slice(): Uint8Array | undefined {
    const length = this.number()
    const start = this.offset
    this.offset += length
    if (!this.failed && this.offset <= this.#bytes.length) return this.#bytes.subarray(start, this.offset)
    this.failed = true
    return undefined
  }
}

function varint(value: number): number[] {
  const bytes: number[] = []
  for (; value > 0x7f; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80)
  return [...bytes, value]
}
