/**
 * CRC-32 (IEEE 802.3, the one of zlib, gzip and Ethernet), eight bytes per step ("slicing by 8").
 * `tables[k * 256 + b]` is the checksum of byte `b` followed by `k` zero bytes, so eight bytes fold in with eight independent look-ups.
 */
const tables = new Int32Array(8 * 256)
for (let byte = 0; byte < 256; byte++) {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  tables[byte] = crc
}
for (let i = 256; i < tables.length; i++) {
  const shorter = tables[i - 256]!
  tables[i] = (shorter >>> 8) ^ tables[shorter & 255]!
}

/**
 * The checksum of `bytes[from … to)`, an unsigned 32-bit integer. `seed` is the checksum of what came before, so that
 * `crc32(b, crc32(a))` is the checksum of a and b end to end. Finds every burst of up to 32 bits; it is no defence against an author of damage.
 */
export function crc32(bytes: Uint8Array, seed = 0, from = 0, to: number = bytes.length): number {
  let crc = ~seed
  let i = from
  for (const last = to - 8; i <= last; i += 8) {
    crc =
      tables[1792 + ((crc ^ bytes[i]!) & 255)]! ^
      tables[1536 + (((crc >>> 8) ^ bytes[i + 1]!) & 255)]! ^
      tables[1280 + (((crc >>> 16) ^ bytes[i + 2]!) & 255)]! ^
      tables[1024 + ((crc >>> 24) ^ bytes[i + 3]!)]! ^
      tables[768 + bytes[i + 4]!]! ^
      tables[512 + bytes[i + 5]!]! ^
      tables[256 + bytes[i + 6]!]! ^
      tables[bytes[i + 7]!]!
  }
  for (; i < to; i++) crc = (crc >>> 8) ^ tables[(crc ^ bytes[i]!) & 255]!
  return ~crc >>> 0
}
