import type { TraceLine } from 'raftkit'
import type { RollingHash } from './hash.ts'
import { commonFields, type Field, lineTypeOf, type MessageKind, messageKindOf } from './schema.ts'

/*
 * A line is hashed and written by the same table of fields, in the same order: so what one run hashes like another, it also writes
 * like it, and a field that the table does not name is in neither.
 */

const fieldsOf = new Map<string, readonly Field[]>(
  [...lineTypeOf].map(([type, { fields }]) => [type, [...commonFields, ...fields]]),
)

export function hashLine(hash: RollingHash, line: TraceLine): void {
  const fields = fieldsOf.get(line.type)
  if (fields === undefined) throw new Error(`a trace has no lines of type ${line.type}`)
  hashFields(hash, fields, line)
}

function hashFields(hash: RollingHash, fields: readonly Field[], from: Readonly<Record<string, unknown>>): void {
  for (let at = 0; at < fields.length; at++) {
    const { name, kind } = fields[at]!
    const value = from[name]
    if (typeof value === 'number') hash.number(value)
    else if (typeof value === 'string') hash.text(value)
    else if (typeof value === 'boolean') hash.truth(value)
    else if (value === undefined) hash.absent()
    else if (kind === 'message') hashMessage(hash, value as Record<string, unknown>)
    else hash.text(JSON.stringify(value))
  }
}

function hashMessage(hash: RollingHash, message: Readonly<Record<string, unknown>>): void {
  const { kind } = message as { readonly kind: string }
  hash.text(kind)
  hashFields(hash, knownKind(kind).fields, message)
}

export function writeLine(line: TraceLine): string {
  const fields = fieldsOf.get(line.type)
  if (fields === undefined) throw new Error(`a trace has no lines of type ${line.type}`)
  return `${JSON.stringify(pick(fields, line))}\n`
}

function pick(fields: readonly Field[], from: Readonly<Record<string, unknown>>): object {
  const picked: Record<string, unknown> = {}
  for (const { name, kind } of fields) {
    const value = from[name]
    if (value === undefined) continue
    if (kind !== 'message') picked[name] = value
    else {
      const message = value as { readonly kind: string }
      picked[name] = { kind: message.kind, ...pick(knownKind(message.kind).fields, message as never) }
    }
  }
  return picked
}

function knownKind(kind: string): MessageKind {
  const known = messageKindOf.get(kind)
  if (known === undefined) throw new Error(`a trace has no messages of kind ${kind}`)
  return known
}
