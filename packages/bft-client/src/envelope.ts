import { Reader, Writer } from '@raftkit/bytes'
import { type ErrorCode, errorCodes, type Index, type NodeId, type Outcome, RaftkitError } from '@raftkit/contract'

/*
 * What a client and one member say to each other, as bytes for whatever wire an app has: format, kind, fields. A byte that differs is another
 * answer: members that say the same say it in the same bytes, but for the hints of who leads and who votes, which stand apart.
 */
const format = 1

/**
 * `submit`: a signed request. `receipt`: for the request whose operations stand at that position. `read`: the app's own question. `epochs`: proof of
 * how the members changed until now.
 */
export type Ask =
  | { readonly type: 'submit'; readonly request: Uint8Array }
  | { readonly type: 'receipt'; readonly position: Index }
  | { readonly type: 'read'; readonly question: Uint8Array }
  | { readonly type: 'epochs' }

export type Answer =
  /** Of a submission. `position`: of its first operation. */
  | { readonly type: 'executed'; readonly position: Index; readonly results: readonly Uint8Array[] }
  /** Of the others. */
  | { readonly type: 'bytes'; readonly bytes: Uint8Array }
  | {
      readonly type: 'failed'
      readonly code: ErrorCode
      readonly reason: string
      readonly outcome: Outcome
      /** The same ask may be answered later. */
      readonly retryable: boolean
    }

export interface Addressed {
  readonly answer: Answer
  /** Who leads, as far as the member knows. */
  readonly leader: NodeId | undefined
  /** Where the configuration stands that it goes by. */
  readonly configuration: Index
}

const asks = ['submit', 'receipt', 'read', 'epochs'] as const
const answers = ['executed', 'bytes', 'failed'] as const
const codes = Object.keys(errorCodes) as ErrorCode[]

export function encodeAsk(ask: Ask): Uint8Array {
  const writer = new Writer().u8(format).u8(asks.indexOf(ask.type))
  switch (ask.type) {
    case 'submit':
      return writer.bytes(ask.request).finish()
    case 'receipt':
      return writer.u64(ask.position).finish()
    case 'read':
      return writer.bytes(ask.question).finish()
    case 'epochs':
      return writer.finish()
  }
}

/** Throws `MALFORMED` or `UNKNOWN_FORMAT`. */
export function decodeAsk(bytes: Uint8Array): Ask {
  const reader = new Reader(bytes)
  checkFormat(reader)
  const ask = readAsk(reader)
  reader.end()
  return ask
}

function readAsk(reader: Reader): Ask {
  const type = named(asks, reader)
  switch (type) {
    case 'submit':
      return { type, request: reader.bytes() }
    case 'receipt':
      return { type, position: reader.u64() }
    case 'read':
      return { type, question: reader.bytes() }
    case 'epochs':
      return { type }
  }
}

export function encodeAnswer({ answer, leader, configuration }: Addressed): Uint8Array {
  return new Writer()
    .u8(format)
    .text(leader ?? '')
    .u64(configuration)
    .raw(answerBytes(answer))
    .finish()
}

/** What has to be equal for two answers to be one. */
export function answerBytes(answer: Answer): Uint8Array {
  const writer = new Writer().u8(answers.indexOf(answer.type))
  switch (answer.type) {
    case 'executed':
      writer.u64(answer.position).u32(answer.results.length)
      for (const result of answer.results) writer.bytes(result)
      return writer.finish()
    case 'bytes':
      return writer.bytes(answer.bytes).finish()
    case 'failed':
      writer.text(answer.code).text(answer.reason.slice(0, 1000))
      return writer
        .u8(answer.outcome === 'refused' ? 0 : 1)
        .u8(answer.retryable ? 1 : 0)
        .finish()
  }
}

/** Throws `MALFORMED` or `UNKNOWN_FORMAT`. */
export function decodeAnswer(bytes: Uint8Array): Addressed {
  const reader = new Reader(bytes)
  checkFormat(reader)
  const leader = reader.text(256)
  const configuration = reader.u64()
  const answer = readAnswer(reader)
  reader.end()
  return { answer, leader: leader === '' ? undefined : leader, configuration }
}

function readAnswer(reader: Reader): Answer {
  const type = named(answers, reader)
  switch (type) {
    case 'executed': {
      const position = reader.u64()
      return { type, position, results: Array.from({ length: reader.count(4) }, () => reader.bytes()) }
    }
    case 'bytes':
      return { type, bytes: reader.bytes() }
    case 'failed': {
      const said = reader.text(64)
      const code = codes.find((known) => known === said) ?? 'REFUSED'
      const reason = reader.text(4000)
      return { type, code, reason, outcome: flag(reader) ? 'unknown' : 'refused', retryable: flag(reader) }
    }
  }
}

function checkFormat(reader: Reader): void {
  const found = reader.u8()
  if (found !== format)
    throw new RaftkitError('UNKNOWN_FORMAT', `envelope format ${found}; this version reads ${format}`)
}

function named<T>(names: readonly T[], reader: Reader): T {
  const found = names[reader.u8()]
  if (found === undefined) throw new RaftkitError('MALFORMED', 'an envelope is of no known kind')
  return found
}

function flag(reader: Reader): boolean {
  const byte = reader.u8()
  if (byte > 1) throw new RaftkitError('MALFORMED', `${byte} where 0 or 1 is due`)
  return byte === 1
}
