import { RaftkitError } from '@raftkit/contract'
import type { TraceLine } from 'raftkit'
import {
  commonFields,
  type Field,
  format,
  headerFields,
  lineTypeOf,
  messageKindOf,
  type Source,
  version,
} from './schema.ts'

export interface TraceHeader {
  readonly format: typeof format
  readonly version: typeof version
  readonly source: Source
  readonly cluster?: string
  readonly node?: string
  readonly wall?: number
  readonly seed?: string
}

export interface Trace {
  readonly header: TraceHeader
  /** In the order in which they were written. */
  readonly lines: readonly TraceLine[]
}

/**
 * Reads a trace. Throws `UNKNOWN_FORMAT` for a version that this one does not read, and `MALFORMED`, with the number of the line,
 * for what is no trace: no line is skipped. A last line without its line feed is what a crash leaves, and is malformed, too.
 */
export function parseTrace(text: string): Trace {
  if (text === '') throw malformed(1, 'the trace is empty; it begins with a header')
  const rows = text.split('\n')
  if (rows.pop() !== '') throw malformed(rows.length + 1, 'the last line has no end; cut it off to read the rest')
  const header = readHeader(object(rows[0]!, 1))
  const lines: TraceLine[] = []
  for (let at = 1; at < rows.length; at++) lines.push(checkLine(object(rows[at]!, at + 1), at + 1, header.source))
  return { header, lines }
}

function readHeader(header: Record<string, unknown>): TraceHeader {
  if (header.format !== format)
    throw malformed(1, `it says format ${quote(header.format)}; a trace begins with {"format":"${format}"`)
  if (header.version !== version)
    throw new RaftkitError(
      'UNKNOWN_FORMAT',
      `a trace of version ${quote(header.version)}; this reads version ${version}: use the version of @raftkit/simulator that fits it`,
    )
  if (header.source !== 'node' && header.source !== 'simulation')
    throw malformed(1, `its source is ${quote(header.source)}; a trace is of a \`node\` or of a \`simulation\``)
  checkFields(header, headerFields, 1, 'the header')
  return header as unknown as TraceHeader
}

function checkLine(line: Record<string, unknown>, row: number, source: Source): TraceLine {
  const { type } = line
  const known = typeof type === 'string' ? lineTypeOf.get(type) : undefined
  if (known === undefined) throw malformed(row, `there are no lines of type ${quote(type)}`)
  if (known.only !== undefined && known.only !== source)
    throw malformed(row, `only a ${known.only} writes lines of type ${known.type}`)
  checkFields(line, [...commonFields, ...known.fields], row, `a line of type ${known.type}`)
  return line as unknown as TraceLine
}

function checkFields(value: Record<string, unknown>, fields: readonly Field[], row: number, what: string): void {
  for (const { name, kind, optional } of fields) {
    const held = value[name]
    if (held === undefined) {
      if (!optional) throw malformed(row, `${what} has no field ${name}`)
    } else if (kind === 'message') checkMessage(held, row)
    else if (!fits[kind](held)) throw malformed(row, `in ${what}, ${name} is no ${kind}: ${quote(held)}`)
  }
  for (const name of Object.keys(value))
    if (!fields.some((field) => field.name === name)) throw malformed(row, `${what} has no place for ${name}`)
}

function checkMessage(value: unknown, row: number): void {
  if (!isObject(value)) throw malformed(row, 'a message is an object')
  const { kind, ...rest } = value
  const known = typeof kind === 'string' ? messageKindOf.get(kind) : undefined
  if (known === undefined) throw malformed(row, `there are no messages of kind ${quote(kind)}`)
  checkFields(rest, known.fields, row, `a message of kind ${known.kind}`)
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isMember = (value: unknown): boolean =>
  isObject(value) &&
  Object.keys(value).length === 3 &&
  [value.id, value.incarnation, value.role].every((text) => typeof text === 'string')

const fits: Record<Exclude<Field['kind'], 'message'>, (value: unknown) => boolean> = {
  integer: (value) => Number.isSafeInteger(value),
  milliseconds: (value) => Number.isFinite(value),
  boolean: (value) => typeof value === 'boolean',
  text: (value) => typeof value === 'string',
  members: (value) => Array.isArray(value) && value.every(isMember),
  object: isObject,
}

function object(row: string, number: number): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(row)
  } catch (cause) {
    throw malformed(number, 'it is no JSON', cause)
  }
  if (!isObject(value)) throw malformed(number, 'it is no JSON object')
  return value
}

/** Not all of it: what nests deeply enough is more than the stack holds. */
const quote = (value: unknown): string =>
  isObject(value) ? 'an object' : Array.isArray(value) ? 'a list' : String(JSON.stringify(value)).slice(0, 200)

const malformed = (row: number, sentence: string, cause?: unknown): RaftkitError =>
  new RaftkitError('MALFORMED', `line ${row} of the trace: ${sentence}`, { cause })
