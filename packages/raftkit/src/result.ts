import { Reader, readValue, Writer, writeValue } from '@raftkit/bytes'
import { type Index, isRaftkitError, RaftkitError } from '@raftkit/contract'
import { Refusal } from './refusal.ts'

/*
 * What applying an entry answers: a tag, then
 *
 *   value     the command's result
 *   refusal   text code ('' for none), text message, value details
 *   invalid   text: the command ran, but what it returned is no value
 *   opened    u64 session
 *   expired   u64 horizon: nothing was executed now; see SessionTable
 *   done      nothing: a session was closed, a version noted
 *
 * Recorded in sessions, so every replica must answer with equal bytes.
 */
const tag = { value: 0, refusal: 1, invalid: 2, opened: 3, expired: 4, done: 5 } as const

export type Result =
  | { readonly type: 'value'; readonly value: unknown }
  | { readonly type: 'refusal'; readonly refusal: Refusal }
  | { readonly type: 'invalid'; readonly reason: string }
  | { readonly type: 'opened'; readonly session: Index }
  | { readonly type: 'expired'; readonly horizon: Index }
  | { readonly type: 'done' }

/** Something that is no value becomes an answer that says so: equal on every replica, and no reason to stop them. */
export function valueResult(value: unknown): Uint8Array {
  return usual.get(value) ?? encoded(value)
}

function encoded(value: unknown): Uint8Array {
  return orInvalid('its result', (writer) => writeValue(writer.u8(tag.value), value))
}

/** What most commands return. */
const usual: ReadonlyMap<unknown, Uint8Array> = new Map(
  [undefined, null, true, false].map((value) => [value, encoded(value)]),
)

export function refusalResult({ code, message, details }: Refusal): Uint8Array {
  return orInvalid("its refusal's details", (writer) => {
    writer
      .u8(tag.refusal)
      .text(wellFormed(code ?? ''))
      .text(wellFormed(message))
    writeValue(writer, details)
  })
}

export function openedResult(session: Index): Uint8Array {
  return new Writer(16).u8(tag.opened).u64(session).finish()
}

export function expiredResult(horizon: Index): Uint8Array {
  return new Writer(16).u8(tag.expired).u64(horizon).finish()
}

export function doneResult(): Uint8Array {
  return Uint8Array.of(tag.done)
}

/** Throws `MALFORMED` or `UNKNOWN_FORMAT`. Shares nothing with `bytes`. */
export function readResult(bytes: Uint8Array): Result {
  const reader = new Reader(bytes)
  const result = read(reader)
  reader.end()
  return result
}

/**
 * What a command's caller gets: its result, or a throw: the command's `Refusal`; `SESSION_EXPIRED`; `INVALID_VALUE` if the command ran
 * but returned no value.
 */
export function decodeResult(bytes: Uint8Array): unknown {
  return outcomeOf(readResult(bytes))
}

/** As `decodeResult`, of a result that was read. */
export function outcomeOf(result: Result): unknown {
  switch (result.type) {
    case 'value':
      return result.value
    case 'refusal':
      throw result.refusal
    case 'invalid':
      throw new RaftkitError('INVALID_VALUE', `the command was applied, but ${result.reason}`)
    case 'expired':
      throw new RaftkitError(
        'SESSION_EXPIRED',
        'the session was evicted, so what became of earlier attempts is lost; read the state before you try again',
        { outcome: 'unknown' },
      )
    case 'opened':
    case 'done':
      return undefined
  }
}

function read(reader: Reader): Result {
  const which = reader.u8()
  switch (which) {
    case tag.value:
      return { type: 'value', value: readValue(reader) }
    case tag.refusal: {
      const code = reader.text()
      const message = reader.text()
      const details = readValue(reader)
      return { type: 'refusal', refusal: new Refusal(message, code === '' ? { details } : { code, details }) }
    }
    case tag.invalid:
      return { type: 'invalid', reason: reader.text() }
    case tag.opened:
      return { type: 'opened', session: reader.u64() }
    case tag.expired:
      return { type: 'expired', horizon: reader.u64() }
    case tag.done:
      return { type: 'done' }
    default:
      throw new RaftkitError('UNKNOWN_FORMAT', `a result of kind ${which}; run a version of raftkit that reads it`)
  }
}

/** Tight: results are kept in sessions, and must not keep a larger buffer alive. */
function orInvalid(what: string, write: (writer: Writer) => void): Uint8Array {
  const writer = new Writer(64)
  try {
    write(writer)
    return writer.finish().slice()
  } catch (error) {
    if (!isRaftkitError(error)) throw error
    return new Writer(128)
      .u8(tag.invalid)
      .text(wellFormed(`${what} is no value: ${error.message}`))
      .finish()
      .slice()
  }
}

/** UTF-8 carries no half of a surrogate pair, and a message is not worth a failure. */
function wellFormed(text: string): string {
  return String(text).replace(/\p{Surrogate}/gu, '\ufffd')
}
