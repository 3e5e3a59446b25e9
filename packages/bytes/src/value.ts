import { isRaftkitError, RaftkitError } from '@raftkit/contract'
import { malformed, Reader } from './reader.ts'
import { Writer } from './writer.ts'

/*
 * Values: what may stand in a command, a result or a replicated state. A tag, then:
 * numbers are doubles; text is UTF-8; a bigint is its magnitude, little-endian without leading zeros; collections are a u32 count,
 * then their items (keys and values by turns) in the order they iterate in. Every value has exactly one encoding, and every
 * encoding that is read is the one that would be written: equal bytes mean equal values, so bytes can be hashed and compared.
 */
const tag = {
  null: 0,
  undefined: 1,
  false: 2,
  true: 3,
  number: 4,
  text: 5,
  positive: 6,
  negative: 7,
  bytes: 8,
  array: 9,
  object: 10,
  map: 11,
  set: 12,
} as const

/** Collections inside collections; a value that holds itself runs into this too. */
const maxDepth = 64
const maxBigintBytes = 65_536
/** No engine holds a larger Map or Set. */
const maxKeys = 0x100_0000

/** Throws `INVALID_VALUE` with the place inside the value. */
export function encodeValue(value: unknown): Uint8Array {
  const writer = new Writer()
  writeValue(writer, value)
  return writer.finish()
}

/** As `encodeValue`, behind what `writer` holds. After an error the writer holds a part of the value: drop it. */
export function writeValue(writer: Writer, value: unknown): void {
  try {
    new ValueWriter(writer).write(value, 0)
  } catch (cause) {
    if (isRaftkitError(cause)) throw cause
    // A proxy's trap threw, or something only looks like a Map.
    throw new RaftkitError('INVALID_VALUE', `it cannot be read: ${cause}; send a plain copy of it`, { cause })
  }
}

/** Throws `MALFORMED` for anything that `encodeValue` does not write. The result shares no memory with `bytes`. */
export function decodeValue(bytes: Uint8Array): unknown {
  const reader = new Reader(bytes)
  const value = readValue(reader)
  reader.end()
  return value
}

/** As `decodeValue`, of the next value of `reader`. */
export function readValue(reader: Reader): unknown {
  return read(reader, 0)
}

/** A value that is equal and shares nothing that can change. Throws `INVALID_VALUE`. */
export function copyValue(value: unknown): unknown {
  return decodeValue(encodeValue(value))
}

class ValueWriter {
  readonly #to: Writer
  // Where we are, by depth: the collections we are in, and the place in each. Only an error reads it.
  readonly #inside: object[] = []
  readonly #place: (number | string)[] = []

  constructor(to: Writer) {
    this.#to = to
  }

  write(value: unknown, depth: number): void {
    const to = this.#to
    switch (typeof value) {
      case 'string':
        to.u8(tag.text)
        this.#text(value, depth)
        return
      case 'number':
        to.u8(tag.number).f64(value)
        return
      case 'boolean':
        to.u8(value ? tag.true : tag.false)
        return
      case 'undefined':
        to.u8(tag.undefined)
        return
      case 'bigint':
        this.#bigint(value, depth)
        return
      case 'object':
        if (value === null) to.u8(tag.null)
        else this.#object(value, depth)
        return
      default:
        throw this.#refusal(depth, `a ${typeof value}`)
    }
  }

  #object(value: object, depth: number): void {
    if (isBytes(value)) {
      this.#to.u8(tag.bytes).bytes(value)
      return
    }
    if (depth === maxDepth)
      throw this.#refusal(depth, `more than ${maxDepth} levels deep, or a value that holds itself`)
    this.#inside[depth] = value
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype === Object.prototype || prototype === null) this.#plainObject(value as Record<string, unknown>, depth)
    else if (Array.isArray(value) && prototype === Array.prototype) this.#array(value, depth)
    else if (value instanceof Map && prototype === Map.prototype) this.#map(value, depth)
    else if (value instanceof Set && prototype === Set.prototype) this.#set(value, depth)
    else throw this.#refusal(depth, instanceOf(prototype))
  }

  #plainObject(value: Record<string, unknown>, depth: number): void {
    if (Object.getOwnPropertySymbols(value).length > 0) throw this.#refusal(depth, 'an object with a symbol as a key')
    const keys = Object.getOwnPropertyNames(value)
    this.#to.u8(tag.object).u32(keys.length)
    for (const key of keys) {
      this.#place[depth] = key
      const property = Object.getOwnPropertyDescriptor(value, key)!
      if (!property.enumerable || !('value' in property))
        throw this.#refusal(depth + 1, 'an accessor or a hidden property')
      this.#text(key, depth + 1)
      this.write(property.value, depth + 1)
    }
  }

  #array(value: readonly unknown[], depth: number): void {
    this.#to.u8(tag.array).u32(value.length)
    for (let i = 0; i < value.length; i++) {
      const item = value[i]
      this.#place[depth] = i
      if (item === undefined && !Object.hasOwn(value, i)) throw this.#refusal(depth + 1, 'a hole in an array')
      this.write(item, depth + 1)
    }
    if (Object.keys(value).length !== value.length || Object.getOwnPropertySymbols(value).length > 0)
      throw this.#refusal(depth, 'an array with named properties')
  }

  #map(value: ReadonlyMap<unknown, unknown>, depth: number): void {
    this.#to.u8(tag.map).u32(value.size)
    let place = 0
    for (const [key, item] of value) {
      this.#place[depth] = place++
      this.write(key, depth + 1)
      this.#place[depth] = place++
      this.write(item, depth + 1)
    }
    this.#bare(value, depth)
  }

  #set(value: ReadonlySet<unknown>, depth: number): void {
    this.#to.u8(tag.set).u32(value.size)
    let place = 0
    for (const item of value) {
      this.#place[depth] = place++
      this.write(item, depth + 1)
    }
    this.#bare(value, depth)
  }

  #bare(value: object, depth: number): void {
    if (Reflect.ownKeys(value).length > 0) throw this.#refusal(depth, 'a Map or Set with named properties')
  }

  #bigint(value: bigint, depth: number): void {
    const hex = (value < 0n ? -value : value).toString(16)
    const count = value === 0n ? 0 : (hex.length + 1) >> 1
    if (count > maxBigintBytes) throw this.#refusal(depth, `a bigint of ${count} bytes (at most ${maxBigintBytes})`)
    const to = this.#to.u8(value < 0n ? tag.negative : tag.positive).u32(count)
    for (let i = 0, end = hex.length; i < count; i++, end -= 2)
      to.u8(Number.parseInt(hex.slice(Math.max(0, end - 2), end), 16))
  }

  #text(text: string, depth: number): void {
    try {
      this.#to.text(text)
    } catch (cause) {
      if (!isRaftkitError(cause, 'INVALID_VALUE')) throw cause
      throw this.#refusal(depth, 'a text with half of a surrogate pair')
    }
  }

  #refusal(depth: number, what: string): RaftkitError {
    let path = ''
    for (let level = 0; level < depth; level++) path += step(this.#inside[level]!, this.#place[level]!)
    return new RaftkitError(
      'INVALID_VALUE',
      `at ${path || 'the top'}: ${what}; use null, booleans, numbers, texts, bigints, Uint8Array, arrays, plain objects, Map and Set`,
    )
  }
}

function step(inside: object, place: number | string): string {
  if (inside instanceof Map)
    return (place as number) % 2 ? `.values()[${(place as number) >> 1}]` : `.keys()[${(place as number) >> 1}]`
  if (inside instanceof Set) return `.values()[${place}]`
  if (typeof place === 'number') return `[${place}]`
  return /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(place) ? `.${place}` : `[${JSON.stringify(place)}]`
}

/** By name and not by `instanceof`: a Buffer, or the bytes of another realm, are bytes too. */
function isBytes(value: object): value is Uint8Array {
  return ArrayBuffer.isView(value) && (value as Uint8Array)[Symbol.toStringTag] === 'Uint8Array'
}

function instanceOf(prototype: unknown): string {
  const name = (prototype as { constructor?: { name?: unknown } }).constructor?.name
  if (typeof name !== 'string' || name === '' || name === 'Object') return 'an object with a prototype of its own'
  return `${/^[AEIOU]/.test(name) ? 'an' : 'a'} ${name}`
}

function read(reader: Reader, depth: number): unknown {
  const kind = reader.u8()
  switch (kind) {
    case tag.null:
      return null
    case tag.undefined:
      return undefined
    case tag.false:
      return false
    case tag.true:
      return true
    case tag.number:
      return reader.f64()
    case tag.text:
      return reader.text()
    case tag.positive:
      return readMagnitude(reader)
    case tag.negative: {
      const magnitude = readMagnitude(reader)
      if (magnitude === 0n) throw unlike(reader, 'a bigint of -0')
      return -magnitude
    }
    case tag.bytes:
      // Not slice(): of a Buffer, which disks and sockets give, that is a view, and a Buffer again.
      return new Uint8Array(reader.bytes())
  }
  if (depth === maxDepth) throw unlike(reader, `more than ${maxDepth} levels`)
  switch (kind) {
    case tag.array:
      return readArray(reader, depth + 1)
    case tag.object:
      return readObject(reader, depth + 1)
    case tag.map:
      return readMap(reader, depth + 1)
    case tag.set:
      return readSet(reader, depth + 1)
  }
  throw unlike(reader, `an unknown tag ${kind}`)
}

function readArray(reader: Reader, depth: number): unknown[] {
  const count = reader.count(1)
  const array: unknown[] = []
  for (let i = 0; i < count; i++) array.push(read(reader, depth))
  return array
}

function readObject(reader: Reader, depth: number): object {
  const object: Record<string, unknown> = {}
  let lowest = 0 // the next array index that may come, or Infinity after the first key that is none
  for (let count = reader.count(5); count > 0; count--) {
    const key = reader.text()
    const index = arrayIndex(key)
    // Array indices iterate first and in ascending order, however they were put in.
    if (index < lowest) throw unlike(reader, 'keys out of order')
    lowest = index + 1
    const value = read(reader, depth)
    if (!(key in object)) object[key] = value
    else if (Object.hasOwn(object, key)) throw unlike(reader, 'a key that stands twice')
    // A name of Object.prototype, `__proto__` among them: plain data, so no setter may see it.
    else Object.defineProperty(object, key, { value, configurable: true, enumerable: true, writable: true })
  }
  return object
}

function arrayIndex(key: string): number {
  const first = key.charCodeAt(0)
  if (!(first >= 48 && first <= 57)) return Number.POSITIVE_INFINITY
  const index = Number(key) >>> 0
  return String(index) === key && index !== 0xffff_ffff ? index : Number.POSITIVE_INFINITY
}

function readMap(reader: Reader, depth: number): Map<unknown, unknown> {
  const map = new Map<unknown, unknown>()
  for (let count = keyCount(reader, 2); count > 0; count--) {
    const key = read(reader, depth)
    if (Object.is(key, -0) || map.has(key)) throw unlike(reader, 'a key that no Map holds, or holds twice')
    map.set(key, read(reader, depth))
  }
  return map
}

function readSet(reader: Reader, depth: number): Set<unknown> {
  const set = new Set<unknown>()
  for (let count = keyCount(reader, 1); count > 0; count--) {
    const item = read(reader, depth)
    if (Object.is(item, -0) || set.has(item)) throw unlike(reader, 'an item that no Set holds, or holds twice')
    set.add(item)
  }
  return set
}

function keyCount(reader: Reader, minBytesEach: number): number {
  const count = reader.count(minBytesEach)
  if (count > maxKeys) throw unlike(reader, `${count} keys, at most ${maxKeys} are possible`)
  return count
}

function readMagnitude(reader: Reader): bigint {
  const bytes = reader.bytes(maxBigintBytes)
  if (bytes.length === 0) return 0n
  if (bytes[bytes.length - 1] === 0) throw unlike(reader, 'a bigint with a leading zero')
  let hex = '0x'
  for (let i = bytes.length - 1; i >= 0; i--) hex += bytes[i]!.toString(16).padStart(2, '0')
  return BigInt(hex)
}

function unlike(reader: Reader, what: string): RaftkitError {
  return malformed(what, reader.position)
}
