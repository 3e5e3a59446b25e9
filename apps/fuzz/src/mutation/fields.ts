import { Reader } from '@raftkit/bytes'

/** Where a parser saw something: the mutations cut, repeat and exchange along these lines. */
export interface Field {
  readonly at: number
  readonly size: number
  /** `length`: it says how many bytes, or how many things, follow. `whole`: a length and what it announces. */
  readonly kind: 'number' | 'length' | 'content' | 'whole'
}

type Method = (this: Reader, ...rest: never[]) => unknown

const kinds: Readonly<Record<string, Field['kind']>> = {
  u8: 'number',
  u16: 'number',
  u32: 'number',
  u64: 'number',
  f64: 'number',
  raw: 'content',
  rest: 'content',
  bytes: 'whole',
  text: 'whole',
  count: 'length',
}

/**
 * What the real parser reads of `bytes`, field by field, in order: no grammar has to be written down beside it, and none gets old. Whatever is read by
 * `Reader` is seen; `bytes` must have its buffer to itself. A parser that throws tells the fields up to there.
 */
export async function fieldsOf(bytes: Uint8Array, parse: (bytes: Uint8Array) => unknown): Promise<Field[]> {
  const prototype = Reader.prototype as unknown as Record<string, Method>
  const fields: Field[] = []
  const before = new Map(Object.keys(kinds).map((name) => [name, prototype[name]!]))
  const raw = before.get('raw') as (this: Reader, count: number) => Uint8Array
  let depth = 0
  for (const [name, method] of before) {
    prototype[name] = function (this: Reader, ...rest) {
      const view = raw.call(this, 0)
      const from = this.position
      depth++
      try {
        const value = method.apply(this, rest)
        if (view.buffer === bytes.buffer) {
          const field = { at: view.byteOffset, size: this.position - from }
          // Whoever reads a whole or a count reads its length first.
          if (kinds[name] === 'whole') {
            fields.push({ ...field, kind: 'whole' })
            if (field.size > 4) fields.push({ at: field.at + 4, size: field.size - 4, kind: 'content' })
          } else if (kinds[name] !== 'length') fields.push({ ...field, kind: depth > 1 ? 'length' : kinds[name]! })
        }
        return value
      } finally {
        depth--
      }
    }
  }
  try {
    await parse(bytes)
  } catch {
    // The fields up to there are what was wanted.
  } finally {
    for (const [name, method] of before) prototype[name] = method
  }
  return fields.sort((one, other) => one.at - other.at)
}

/** For parsers that read by other means: small numbers that may well say how much follows, and what they would announce. */
export function guessFields(bytes: Uint8Array): Field[] {
  const fields: Field[] = []
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = 0; at < bytes.length; ) {
    const size = [4, 2, 1].find((size) => {
      if (at + size > bytes.length) return false
      const n = size === 4 ? view.getUint32(at, true) : size === 2 ? view.getUint16(at, true) : bytes[at]!
      return n > 0 && n <= bytes.length - at - size
    })
    fields.push({ at, size: size ?? 1, kind: size === undefined ? 'number' : 'length' })
    at += size ?? 1
  }
  return fields
}
