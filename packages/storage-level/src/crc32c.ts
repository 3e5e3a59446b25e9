/** CRC-32C (Castagnoli), which LevelDB uses and Node lacks; four bytes per step. */
const tables = new Int32Array(4 * 256)
for (let byte = 0; byte < 256; byte++) {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  tables[byte] = crc
}
for (let i = 256; i < tables.length; i++) {
  const shorter = tables[i - 256]!
  tables[i] = (shorter >>> 8) ^ tables[shorter & 255]!
}

export function crc32c(bytes: Uint8Array): number {
  let crc = -1
  let i = 0
  for (const last = bytes.length - 4; i <= last; i += 4) {
    crc ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)
    crc =
      tables[768 + (crc & 255)]! ^
      tables[512 + ((crc >>> 8) & 255)]! ^
      tables[256 + ((crc >>> 16) & 255)]! ^
      tables[crc >>> 24]!
  }
  for (; i < bytes.length; i++) crc = (crc >>> 8) ^ tables[(crc ^ bytes[i]!) & 255]!
  return ~crc >>> 0
}
