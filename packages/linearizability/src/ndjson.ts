import { flawOf, type Json } from './canonical.ts'
import { checkOperation } from './check.ts'
import { HistoryError, type Operation, quote } from './history.ts'
import { type Command, keyValue } from './key-value.ts'

/** An operation on a key-value store. */
export type KeyValueOperation = Operation<Command, Json>

/** Lines beyond this are refused before they are parsed. In characters. */
export const lineMax: number = 16 * 1024 * 1024

/** The operation that a line of a history file tells. Throws HistoryError. `docs/reference/history-format.md`. */
export function parseLine(text: string, line: number): KeyValueOperation {
  if (text.length > lineMax) throw new HistoryError(`line ${line} is longer than ${lineMax} characters`, line)
  const record = objectOf(text, line)
  for (const name of ['client', 'key', 'op', 'call_ns', 'ok'] as const) {
    if (record[name] === undefined) throw new HistoryError(`line ${line}: ${name} is missing`, line)
  }
  const operation: KeyValueOperation = {
    client: record.client as string | number,
    key: record.key as string,
    input: commandOf(record.op, record.input, line),
    ...(record.output !== undefined && { output: record.output as Json }),
    call: record.call_ns as number,
    ...(record.ok !== 'unknown' && { return: record.return_ns as number }),
    ok: record.ok as boolean | 'unknown',
    ...(record.index !== undefined && { index: record.index as number }),
  }
  try {
    checkOperation(keyValue, operation, line)
  } catch (error) {
    // The same sentence, of a line: the file may have more of them than operations.
    throw error instanceof HistoryError ? new HistoryError(error.message.replace(/^operation/, 'line'), line) : error
  }
  return operation
}

/** The line of a history file that tells the operation, without the newline. Times are taken for nanoseconds. */
export function formatLine({ client, key, input, output, call, return: end, ok, index }: KeyValueOperation): string {
  const told = { get: undefined, delete: undefined, put: 'value', append: 'text', cas: undefined }[input.op]
  return JSON.stringify({
    client,
    key,
    op: input.op,
    input: input.op === 'cas' ? [input.from, input.to] : told && (input as Record<string, unknown>)[told],
    output,
    call_ns: call,
    return_ns: ok === 'unknown' ? undefined : end,
    ok,
    index,
  })
}

/** The operations of a history file, as they come. Empty lines are passed over. Throws HistoryError. */
export async function* parseHistory(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<KeyValueOperation> {
  let line = 0
  for await (const text of linesOf(chunks)) {
    line++
    if (text.trim() !== '') yield parseLine(text, line)
  }
}

async function* linesOf(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let rest = ''
  let line = 1
  const decode = (chunk?: Uint8Array): string => {
    try {
      return decoder.decode(chunk, { stream: chunk !== undefined })
    } catch {
      throw new HistoryError(`line ${line} or one soon after it is not UTF-8`, line)
    }
  }
  for await (const chunk of chunks) {
    const lines = (rest + decode(chunk)).split('\n')
    rest = lines.pop()!
    line += lines.length
    yield* lines
    if (rest.length > lineMax) throw new HistoryError(`line ${line} is longer than ${lineMax} characters`, line)
  }
  rest += decode()
  if (rest !== '') yield rest
}

type Line = Partial<
  Record<'client' | 'key' | 'op' | 'input' | 'output' | 'call_ns' | 'return_ns' | 'ok' | 'index', unknown>
>

function objectOf(text: string, line: number): Line {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new HistoryError(`line ${line} is not JSON: ${quote(text)}`, line)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new HistoryError(`line ${line} is not a JSON object: ${quote(text)}`, line)
  }
  const flaw = flawOf(value)
  if (flaw) throw new HistoryError(`line ${line} ${flaw}`, line)
  // Own members only: `{}` has no client, whatever its prototype says.
  return Object.assign(Object.create(null), value) as Line
}

function commandOf(op: unknown, input: unknown, line: number): Command {
  switch (op) {
    case 'get':
    case 'delete':
      return { op }
    case 'put':
      return { op, value: input as Json }
    case 'append':
      return { op, text: input as string }
    case 'cas': {
      if (!Array.isArray(input) || input.length !== 2) {
        throw new HistoryError(`line ${line}: the input of a cas must be [from, to], not ${quote(input)}`, line)
      }
      return { op, from: input[0] as Json, to: input[1] as Json }
    }
    default:
      throw new HistoryError(`line ${line}: op must be get, put, cas, append or delete, not ${quote(op)}`, line)
  }
}
