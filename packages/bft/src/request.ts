import { Reader, Writer } from '@raftkit/bytes'
import { isRaftkitError, RaftkitError } from '@raftkit/contract'
import { type Digest, type Hash, hashOf } from './hash.ts'
import type { Check } from './statement.ts'

/** What a client signs at once: one operation or several that run one behind the other, all or none. */
export interface Request {
  /** The client's public key: its identity. */
  readonly client: Uint8Array
  /** Higher with each run of the client, so that its numbers may begin anew: its eight highest are remembered, and none below them runs. */
  readonly session: number
  /** Of the first operation; the others follow. */
  readonly seq: number
  readonly operations: readonly Uint8Array[]
  readonly signature: Uint8Array
}

export const mostOperations = 64
const keyLimit = 128
export const signatureLimit = 128

const requestFormat = 1

/** Canonical: a request has one encoding, and any other is malformed. */
export function encodeRequest(request: Request): Uint8Array {
  return writeClaim(new Writer(256).u8(requestFormat), request).bytes(request.signature).finish()
}

export function decodeRequest(bytes: Uint8Array): Request {
  const reader = new Reader(bytes)
  const format = reader.u8()
  if (format !== requestFormat)
    throw new RaftkitError('UNKNOWN_FORMAT', `request format ${format}; this version reads ${requestFormat}`)
  const client = reader.bytes(keyLimit)
  const session = reader.u64()
  const seq = reader.u64()
  const count = reader.count(4)
  if (count < 1 || count > mostOperations)
    throw new RaftkitError('MALFORMED', `${count} operations in a request, 1 to ${mostOperations} are allowed`)
  if (seq + count > Number.MAX_SAFE_INTEGER) throw new RaftkitError('MALFORMED', 'a request is numbered beyond 2^53-1')
  const operations = Array.from({ length: count }, () => reader.bytes())
  const signature = reader.bytes(signatureLimit)
  reader.end()
  return { client, session, seq, operations, signature }
}

const decoded: WeakMap<Uint8Array, Request | 'none'> = new WeakMap()

/** What an item of an entry says: decoded once, since an item is never altered. Undefined: it is no request. */
export function requestIn(item: Uint8Array): Request | undefined {
  let request = decoded.get(item)
  if (request === undefined) {
    request = tryDecode(item) ?? 'none'
    decoded.set(item, request)
  }
  return request === 'none' ? undefined : request
}

function tryDecode(item: Uint8Array): Request | undefined {
  try {
    return decodeRequest(item)
  } catch (error) {
    if (isRaftkitError(error)) return undefined
    throw error
  }
}

const hashes: WeakMap<Uint8Array, Hash> = new WeakMap()

/** What a request is known by among those that wait; worked out once. */
export function itemHash(digest: Digest, item: Uint8Array): Hash {
  let hash = hashes.get(item)
  if (hash === undefined) {
    hash = hashOf(digest, 'raftkit item 1', item)
    hashes.set(item, hash)
  }
  return hash
}

/** It was executed. Entries stay for long, and what their items say is several times as large as they are: it is not kept beside them. */
export function forgetItem(item: Uint8Array): void {
  decoded.delete(item)
  hashes.delete(item)
}

/** Over a hash, so that the signed bytes are short and of one width. */
export function requestCheck(digest: Digest, genesis: Hash, request: Request): Check {
  const claim = hashOf(digest, 'raftkit request 1', writeClaim(new Writer(256), request).finish())
  const bytes = new Writer(192).text('raftkit request 1').text(genesis).text(claim).finish()
  return { key: request.client, bytes, signature: request.signature }
}

function writeClaim(writer: Writer, { client, session, seq, operations }: Omit<Request, 'signature'>): Writer {
  writer.bytes(client).u64(session).u64(seq).u32(operations.length)
  for (const operation of operations) writer.bytes(operation)
  return writer
}
