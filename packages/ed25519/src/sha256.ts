import { createHash } from 'node:crypto'

export function sha256(bytes: Uint8Array): Uint8Array {
  const { buffer, byteOffset, length } = createHash('sha256').update(bytes).digest()
  return new Uint8Array(buffer, byteOffset, length)
}
