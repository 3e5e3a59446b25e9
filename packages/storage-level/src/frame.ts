import { crc32 } from 'node:zlib'

/**
 * Every value in LevelDB: u32 checksum, u8 format, numbers (u64 each, little-endian), then bytes.
 * The key seeds the checksum, so that a value in the wrong place is found like a flipped bit.
 */
export interface Frame {
  readonly numbers: readonly number[]
  readonly bytes: Uint8Array
}

const format = 1
const prefixBytes = 5

export function seal(key: Uint8Array, numbers: readonly number[], bytes?: Uint8Array): Uint8Array {
  const start = prefixBytes + 8 * numbers.length
  const value = Buffer.alloc(start + (bytes?.length ?? 0))
  value[4] = format
  numbers.forEach((number, i) => {
    value.writeUInt32LE(number >>> 0, prefixBytes + 8 * i)
    value.writeUInt32LE(Math.floor(number / 2 ** 32), prefixBytes + 8 * i + 4)
  })
  if (bytes) value.set(bytes, start)
  value.writeUInt32LE(crc32(value.subarray(4), crc32(key)), 0)
  return value
}

/** Undefined for anything that `seal` did not make of this key, with so many numbers. `bytes` is a view. */
export function unseal(key: Uint8Array, value: Uint8Array, count: number): Frame | undefined {
  const start = prefixBytes + 8 * count
  if (value.length < start || value[4] !== format) return undefined
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength)
  if (view.getUint32(0, true) !== crc32(value.subarray(4), crc32(key))) return undefined
  const numbers = Array.from({ length: count }, (_, i) => {
    const at = prefixBytes + 8 * i
    return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32
  })
  return { numbers, bytes: value.subarray(start) }
}
