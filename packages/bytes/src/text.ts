/**
 * UTF-8, strict in both directions, for places that have no TextEncoder. ASCII, the common case, takes the short loop.
 */

/** What an encoder or decoder answers where the input is not well formed. */
export const illFormed = -1

/**
 * Writes `text` to `target` from `offset` on, which must have room for three bytes per code unit (one, while all is ASCII).
 * Returns the end offset, or `illFormed` for a lone surrogate.
 */
export function encodeText(text: string, from: number, target: Uint8Array, offset: number): number {
  let end = offset
  for (let i = from; i < text.length; i++) {
    let code = text.charCodeAt(i)
    if (code < 0x80) {
      target[end++] = code
      continue
    }
    if (code < 0x800) {
      target[end++] = 0xc0 | (code >> 6)
      target[end++] = 0x80 | (code & 63)
      continue
    }
    if (code >= 0xd800 && code < 0xe000) {
      const low = text.charCodeAt(i + 1)
      // NaN at the end of the text fails both comparisons' complement, hence the positive form.
      if (!(code < 0xdc00 && low >= 0xdc00 && low < 0xe000)) return illFormed
      i++
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)
      target[end++] = 0xf0 | (code >> 18)
      target[end++] = 0x80 | ((code >> 12) & 63)
    } else {
      target[end++] = 0xe0 | (code >> 12)
    }
    target[end++] = 0x80 | ((code >> 6) & 63)
    target[end++] = 0x80 | (code & 63)
  }
  return end
}

/** How many code units, from 0 on, are ASCII and were written to `target` from `offset` on. */
export function encodeAscii(text: string, target: Uint8Array, offset: number): number {
  const { length } = text
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code > 127) return i
    target[offset + i] = code
  }
  return length
}

/** The text of `bytes[from … to)`, or undefined where that is not well-formed UTF-8 (overlong forms and surrogates are not). */
export function decodeText(bytes: Uint8Array, from: number, to: number): string | undefined {
  let text = ''
  let at = from
  // Sixteen ASCII characters at a time: the fastest that the language offers without a TextDecoder.
  for (const last = to - 16; at <= last; at += 16) {
    const a = bytes[at]!
    const b = bytes[at + 1]!
    const c = bytes[at + 2]!
    const d = bytes[at + 3]!
    const e = bytes[at + 4]!
    const f = bytes[at + 5]!
    const g = bytes[at + 6]!
    const h = bytes[at + 7]!
    const i = bytes[at + 8]!
    const j = bytes[at + 9]!
    const k = bytes[at + 10]!
    const l = bytes[at + 11]!
    const m = bytes[at + 12]!
    const n = bytes[at + 13]!
    const o = bytes[at + 14]!
    const p = bytes[at + 15]!
    if ((a | b | c | d | e | f | g | h | i | j | k | l | m | n | o | p) > 127) return decodeRest(text, bytes, at, to)
    text += String.fromCharCode(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)
  }
  return decodeRest(text, bytes, at, to)
}

// Decoded code units gather here. Nothing that could re-enter is called between filling and reading it.
const units = new Uint16Array(2048)

function decodeRest(before: string, bytes: Uint8Array, from: number, to: number): string | undefined {
  let text = before
  let i = from
  while (i < to) {
    let filled = 0
    // A character adds at most two units.
    while (i < to && filled < units.length - 1) {
      const lead = bytes[i++]!
      if (lead < 0x80) {
        units[filled++] = lead
        continue
      }
      const more = lead < 0xc2 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : lead < 0xf8 ? 3 : 0
      if (more === 0 || to - i < more) return undefined
      let code = lead & (0x3f >> more)
      for (let k = 0; k < more; k++) {
        const next = bytes[i++]!
        if ((next & 0xc0) !== 0x80) return undefined
        code = (code << 6) | (next & 63)
      }
      if (more === 2 && (code < 0x800 || (code >= 0xd800 && code < 0xe000))) return undefined
      if (more === 3) {
        if (code < 0x10000 || code > 0x10ffff) return undefined
        units[filled++] = 0xd800 + ((code - 0x10000) >> 10)
        code = 0xdc00 + (code & 0x3ff)
      }
      units[filled++] = code
    }
    text += fromUnits(filled)
  }
  return text
}

function fromUnits(count: number): string {
  let text = ''
  if (count < 16) for (let i = 0; i < count; i++) text += String.fromCharCode(units[i]!)
  else text = String.fromCharCode.apply(null, units.subarray(0, count) as unknown as number[])
  return text
}
