import type { Field } from './fields.ts'
import type { Random } from './random.ts'

export interface Seed {
  readonly bytes: Uint8Array
  readonly fields: readonly Field[]
}

const names = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  '__defineSetter__',
  'then',
  'length',
  '../../etc/passwd',
  'nul',
  '',
  '.',
  '0',
  '4294967295',
  '\u0000',
  '\ufeff',
  'a'.repeat(64),
  'a'.repeat(65),
  'ä'.repeat(200),
].map((text) => Buffer.from(text))

/** No UTF-8: half of a surrogate pair, an overlong slash, a beginning without its end. */
const illFormed = [Buffer.from('eda080', 'hex'), Buffer.from('c0af', 'hex'), Buffer.from('f09f98', 'hex')]

const numbers = [
  0,
  1,
  2,
  127,
  128,
  255,
  256,
  4095,
  4096,
  65_535,
  65_536,
  0x7fff_ffff,
  0x8000_0000,
  0xffff_fffe,
  0xffff_ffff,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
  2 ** 64 - 2048,
]

/** The bytes with the fields that are still known of them. */
interface Work {
  bytes: Uint8Array
  fields: Field[]
}

/**
 * A seed, altered one to eight times. `others` lend what is spliced in; `tokens` are byte sequences that mean something to the parser.
 * Never longer than `largest`.
 */
export function mutate(
  seed: Seed,
  others: readonly Seed[],
  tokens: readonly Uint8Array[],
  random: Random,
  largest: number,
): Uint8Array {
  const work: Work = { bytes: seed.bytes.slice(), fields: [...seed.fields] }
  do {
    random.pick(operations)(work, random, others, tokens)
    if (work.bytes.length > largest) cutTo(work, largest)
  } while (random.chance(0.55))
  return work.bytes
}

type Operation = (work: Work, random: Random, others: readonly Seed[], tokens: readonly Uint8Array[]) => void

const setNumber: Operation = (work, random) => {
  const field = pickField(work, random, 'number') ?? pickField(work, random, 'length')
  if (!field) return flip(work, random, [], [])
  const { bytes } = work
  const size = Math.min(field.size, 8)
  let value = 0
  for (let i = size - 1; i >= 0; i--) value = value * 256 + bytes[field.at + i]!
  switch (random.below(5)) {
    case 0:
      value = random.pick(numbers)
      break
    case 1:
      value += random.pick([-1, 1, -2, 2, 16, -16])
      break
    case 2:
      value = bytes.length - field.at - field.size + random.below(3) - 1
      break
    case 3:
      value = random.u32() * (random.chance(0.5) ? 1 : 2 ** random.below(31))
      break
    default:
      value = random.below(300)
  }
  if (value < 0) value += 2 ** (8 * size)
  for (let i = 0; i < size; i++) {
    bytes[field.at + i] = value % 256
    value = Math.floor(value / 256)
  }
}

const setLength: Operation = (work, random) => {
  const field = pickField(work, random, 'length')
  if (!field) return setNumber(work, random, [], [])
  const value = random.pick([
    0,
    1,
    0xff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    work.bytes.length,
    work.bytes.length - field.at - field.size,
  ])
  for (let i = 0; i < Math.min(4, field.size); i++) work.bytes[field.at + i] = value >>> (8 * i)
}

const flip: Operation = ({ bytes }, random) => {
  if (bytes.length > 0) bytes[random.below(bytes.length)]! ^= 1 << random.below(8)
}

const scribble: Operation = ({ bytes }, random) => {
  const at = random.below(bytes.length)
  bytes.set(random.bytes(Math.min(1 + random.below(8), bytes.length - at)), at)
}

const remove: Operation = (work, random) => {
  const { at, size } = span(work, random)
  replace(work, at, size, new Uint8Array(0), random)
}

const repeat: Operation = (work, random) => {
  const { at, size } = span(work, random)
  if (size === 0) return
  const once = work.bytes.slice(at, at + size)
  const times = random.chance(0.15) ? 2 + random.below(200) : 1
  replace(work, at, 0, end2end(Array(Math.min(times, Math.ceil(32_768 / size))).fill(once)), random)
}

const swap: Operation = (work, random) => {
  const one = span(work, random)
  const other = span(work, random)
  const [first, second] = one.at <= other.at ? [one, other] : [other, one]
  if (first.at + first.size > second.at) return
  const { bytes } = work
  const a = bytes.slice(first.at, first.at + first.size)
  const b = bytes.slice(second.at, second.at + second.size)
  replace(work, second.at, second.size, a, random)
  replace(work, first.at, first.size, b, random)
}

/** A field takes the place of another one, of another seed too. */
const borrow: Operation = (work, random, others) => {
  const other = random.pick(others)
  const from = other && random.pick(other.fields)
  if (!from) return
  const same = work.fields.filter(({ kind }) => kind === from.kind)
  const to = same.length > 0 && random.chance(0.8) ? random.pick(same) : span(work, random)
  replace(work, to.at, random.chance(0.3) ? 0 : to.size, other.bytes.slice(from.at, from.at + from.size), random)
}

/** The beginning of this one and the end of another. */
const splice: Operation = (work, random, others) => {
  const other = random.pick(others)
  if (!other) return
  const here = random.pick(work.fields)?.at ?? random.below(work.bytes.length + 1)
  const there = random.pick(other.fields)?.at ?? random.below(other.bytes.length + 1)
  replace(work, here, work.bytes.length - here, other.bytes.slice(there), random)
}

const rename: Operation = (work, random, _others, tokens) => {
  const field = pickField(work, random, 'content') ?? span(work, random)
  const text = random.chance(0.15)
    ? random.pick(illFormed)
    : tokens.length > 0 && random.chance(0.2)
      ? random.pick(tokens)
      : random.pick(names)
  replace(work, field.at, field.size, text, random)
}

const insertToken: Operation = (work, random, _others, tokens) => {
  if (tokens.length === 0) return repeat(work, random, [], [])
  const token = random.pick(tokens)
  const times = random.chance(0.1) ? 1 + random.below(300) : 1
  const at =
    random.chance(0.8) && work.fields.length > 0 ? random.pick(work.fields).at : random.below(work.bytes.length + 1)
  replace(
    work,
    at,
    random.chance(0.5) ? Math.min(token.length, work.bytes.length - at) : 0,
    end2end(Array(times).fill(token)),
    random,
  )
}

const cut: Operation = (work, random) => {
  const at =
    random.chance(0.5) && work.fields.length > 0 ? random.pick(work.fields).at : random.below(work.bytes.length + 1)
  cutTo(work, at)
}

function cutTo(work: Work, end: number): void {
  work.bytes = work.bytes.slice(0, end)
  work.fields = work.fields.filter(({ at, size }) => at + size <= end)
}

const append: Operation = (work, random) => {
  replace(work, work.bytes.length, 0, random.bytes(1 + random.below(random.chance(0.1) ? 2000 : 16)), random)
}

const operations: readonly Operation[] = [
  setNumber,
  setNumber,
  setNumber,
  setLength,
  flip,
  scribble,
  remove,
  repeat,
  swap,
  borrow,
  borrow,
  splice,
  rename,
  rename,
  insertToken,
  cut,
  append,
]

function pickField(work: Work, random: Random, kind: Field['kind']): Field | undefined {
  const { fields } = work
  if (fields.length === 0) return undefined
  // A few tries, not a list of all of the kind: it is asked for at every mutation.
  for (let i = 0; i < 6; i++) {
    const field = random.pick(fields)
    if (field.kind === kind) return field
  }
  return undefined
}

/** A field, a run of some, or any bytes. */
function span({ bytes, fields }: Work, random: Random): { at: number; size: number } {
  if (fields.length === 0 || random.chance(0.15)) {
    const at = random.below(bytes.length + 1)
    return { at, size: random.below(Math.min(64, bytes.length - at) + 1) }
  }
  const first = random.below(fields.length)
  const { at, size } = fields[first]!
  if (random.chance(0.7)) return { at, size }
  const last = fields[Math.min(fields.length - 1, first + random.below(6))]!
  return { at, size: Math.max(size, last.at + last.size - at) }
}

/** Mostly, the lengths that announce what was changed are put right: otherwise the parser would get no further. */
function replace(work: Work, at: number, size: number, by: Uint8Array, random: Random): void {
  const { bytes, fields } = work
  const delta = by.length - size
  const next = new Uint8Array(bytes.length + delta)
  next.set(bytes.subarray(0, at))
  next.set(by, at)
  next.set(bytes.subarray(at + size), at + by.length)
  if (delta !== 0 && random.chance(0.75))
    for (const field of fields)
      if (field.kind === 'whole' && field.at + 4 <= at && field.at + field.size >= at + size) {
        const view = new DataView(next.buffer)
        view.setUint32(field.at, view.getUint32(field.at, true) + delta, true)
      }
  work.bytes = next
  if (delta === 0) return
  work.fields = []
  for (const field of fields) {
    if (field.at + field.size <= at) work.fields.push(field)
    else if (field.at >= at + size) work.fields.push({ ...field, at: field.at + delta })
    else if (field.at <= at && field.at + field.size >= at + size)
      work.fields.push({ ...field, size: field.size + delta })
  }
}

function end2end(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts)
}
