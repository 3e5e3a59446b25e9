import { Reader, Writer } from '@raftkit/bytes'
import { type Index, RaftkitError } from '@raftkit/contract'
import { maxNameBytes } from './machine.ts'

/*
 * What a replicated machine finds in the payload of a log record. Format, kind, then:
 *
 *   once     text name, value input                                       no session: executed as often as it is placed
 *   command  varint session, seq, seq - low; text name; value input       exactly once (thesis §6.3)
 *   open     16 bytes client, varint limit                                a session; answers with its id
 *   close    varint session
 *   version  varint version                                               raises the machine version in force
 *
 * A format or kind that this version does not know stops the replica: entries are never skipped.
 */
const format = 1
const kind = { once: 1, command: 2, open: 3, close: 4, version: 5 } as const

/** A client's name for the session it wants: random, so that a repeated opening finds the session it made before. */
export const clientBytes = 16

export interface CommandEntry {
  readonly type: 'command'
  /** Absent: executed as often as it is placed. */
  readonly ticket: Ticket | undefined
  readonly name: string
  /** An encoded value. */
  readonly input: Uint8Array
}

/** Which command of which session; the answers below `low` have arrived, or nobody waits for them any more. */
export interface Ticket {
  readonly session: Index
  readonly seq: number
  readonly low: number
}

export type Entry =
  | CommandEntry
  /** `limit`: sessions kept from here on. It stands in the entry because the log alone may decide an eviction. */
  | { readonly type: 'open'; readonly client: Uint8Array; readonly limit: number }
  | { readonly type: 'close'; readonly session: Index }
  | { readonly type: 'version'; readonly version: number }

export function commandEntry(ticket: Ticket | undefined, name: string, input: Uint8Array): Uint8Array {
  const writer = begin(ticket ? kind.command : kind.once, 32 + 3 * name.length + input.length)
  if (ticket) {
    writeVarint(writer, ticket.session)
    writeVarint(writer, ticket.seq)
    writeVarint(writer, ticket.seq - ticket.low)
  }
  return writer.text(name).raw(input).finish()
}

export function openEntry(client: Uint8Array, limit: number): Uint8Array {
  return writeVarint(begin(kind.open).raw(client), limit).finish()
}

export function closeEntry(session: Index): Uint8Array {
  return writeVarint(begin(kind.close), session).finish()
}

/**
 * Brings `version` into force where it is committed; a version that is not above the one in force changes nothing.
 * Replicas whose definition is older stop there, so propose it only when every member runs it.
 */
export function versionEntry(version: number): Uint8Array {
  return writeVarint(begin(kind.version), version).finish()
}

/** Throws `MALFORMED` or `UNKNOWN_FORMAT`. The input is a view. */
export function readEntry(data: Uint8Array): Entry {
  const reader = new Reader(data)
  const found = reader.u8()
  if (found !== format) throw unknown(`entry format ${found}`)
  const which = reader.u8()
  switch (which) {
    case kind.once:
      return { type: 'command', ticket: undefined, name: reader.text(maxNameBytes), input: reader.rest() }
    case kind.command: {
      const session = readVarint(reader)
      const seq = readVarint(reader)
      const low = seq - readVarint(reader)
      if (low < 1) throw new RaftkitError('MALFORMED', `command ${seq} of a session says that ${low} is the lowest`)
      return { type: 'command', ticket: { session, seq, low }, name: reader.text(maxNameBytes), input: reader.rest() }
    }
    case kind.open: {
      const client = reader.raw(clientBytes)
      return ended(reader, { type: 'open', client, limit: readVarint(reader) })
    }
    case kind.close:
      return ended(reader, { type: 'close', session: readVarint(reader) })
    case kind.version:
      return ended(reader, { type: 'version', version: readVarint(reader) })
    default:
      throw unknown(`entry kind ${which}`)
  }
}

function begin(which: number, capacity = 32): Writer {
  return new Writer(capacity).u8(format).u8(which)
}

function ended(reader: Reader, entry: Entry): Entry {
  reader.end()
  return entry
}

function unknown(what: string): RaftkitError {
  return new RaftkitError('UNKNOWN_FORMAT', `the log holds ${what}; run a version of raftkit that reads it`)
}

/** Integers 0 … 2^53-1, seven bits a byte, low bits first: sessions and sequence numbers stand in every record, and most are small. */
function writeVarint(writer: Writer, n: number): Writer {
  let rest = n
  while (rest > 127) {
    writer.u8((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  }
  return writer.u8(rest)
}

function readVarint(reader: Reader): number {
  let n = 0
  for (let scale = 1; ; scale *= 128) {
    const byte = reader.u8()
    n += (byte & 127) * scale
    if (n > Number.MAX_SAFE_INTEGER || (byte === 0 && scale > 1))
      throw new RaftkitError('MALFORMED', 'an integer beyond 2^53-1, or written longer than it need be')
    if (byte < 128) return n
  }
}
