import { fromHex, type Reader, toHex, Writer } from '@raftkit/bytes'

/** SHA-256. Handed in: it is needed in the middle of a step, so it is a function and no ask; pure, so the protocol stays pure. */
export type Digest = (bytes: Uint8Array) => Uint8Array

/** 64 hex digits in memory, 32 bytes on disk and wire. */
export type Hash = string

const hashBytes = 32

/** `domain` says what the bytes are, so that no hash of one kind is ever the hash of another. */
export function hashOf(digest: Digest, domain: string, bytes: Uint8Array): Hash {
  return toHex(digest(new Writer(bytes.length + 64).text(domain).raw(bytes).finish()))
}

export const rawHash = (hash: Hash): Uint8Array => fromHex(hash)

export const readHash = (reader: Reader): Hash => toHex(reader.raw(hashBytes))

export function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** A few bytes as a key of a Map: one character for each. */
export const textOf = (bytes: Uint8Array): string => Reflect.apply(String.fromCharCode, undefined, bytes)
