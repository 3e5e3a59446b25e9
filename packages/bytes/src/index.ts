/** Bytes of disk and wire: reader, writer, checksum, the record, values. Pure, and the same on every platform. */
export { crc32 } from './checksum.ts'
export { fromHex, hash128, toHex } from './hash.ts'
export { plain, Reader } from './reader.ts'
export {
  checksumSeed,
  encodeRecords,
  type LogRecord,
  type RecordKind,
  readRecord,
  recordEnd,
  recordFormat,
  recordHeaderBytes,
  recordIndex,
  recordKind,
  recordKindAt,
  recordLength,
  recordSeed,
  recordTerm,
  recordTime,
  verifyRecord,
  writeRecord,
} from './record.ts'
export { copyValue, decodeValue, encodeValue, readValue, writeValue } from './value.ts'
export { Writer } from './writer.ts'
