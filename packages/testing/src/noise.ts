/** Bytes that look like nothing, the same for the same size. */
export function noise(size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  let state = size + 1
  for (let n = 0; n < size; n++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) | 0
    bytes[n] = state >>> 16
  }
  return bytes
}
