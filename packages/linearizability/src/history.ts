/** One call of one client and what came of it. Immutable data; the checker keeps references, no copies. */
export interface Operation<Input, Output> {
  /** Who called: a process or a thread, that has at most one operation open at a time. */
  readonly client: string | number
  /** The object it is about. Operations on different keys must not influence each other. */
  readonly key: string
  readonly input: Input
  /** What was answered. Left out: no answer is known, and any is accepted. */
  readonly output?: Output | undefined
  /** When it was called, on one monotonic clock of all clients. Any unit. */
  readonly call: number
  /** When the answer came, on that clock. Of an operation whose outcome is unknown it is ignored. */
  readonly return?: number | undefined
  /**
   * true: it took effect between call and return. false: it took no effect, then or later (a claim, that is taken at
   * its word). 'unknown': it may take effect at any time after the call, or never.
   */
  readonly ok: boolean | 'unknown'
  /** Its place in the replicated log, for `checkOrder`; of a read, the index of the last entry that it saw. */
  readonly index?: number | undefined
}

/** A history that cannot be judged. Recognise it by `code`. */
export class HistoryError extends Error {
  override readonly name = 'HistoryError'
  readonly code = 'HISTORY_MALFORMED'
  /** The operation's number, or the file's line, from 1; undefined when the whole history is meant. */
  readonly line: number | undefined

  constructor(message: string, line?: number) {
    super(message)
    this.line = line
  }
}

/** Input of strangers, fit for a message: its JSON, cut. */
export function quote(value: unknown, length = 80): string {
  // A long text is cut before it is escaped: the message must not cost what the input does.
  const cut = typeof value === 'string' && value.length > length ? value.slice(0, length) : value
  let text: string
  try {
    text = JSON.stringify(cut) ?? String(cut)
  } catch {
    text = typeof cut
  }
  return text.length > length || cut !== value ? `${text.slice(0, length)}…` : text
}

/** Throws HistoryError if the operation is none, whatever its model. */
export function checkShape(operation: Operation<unknown, unknown>, line: number): void {
  const { client, key, call, ok, index } = operation
  const wrong = (what: string): never => {
    throw new HistoryError(`operation ${line}: ${what}`, line)
  }
  if (typeof client !== 'string' && !Number.isFinite(client)) {
    wrong(`client must be a string or a number, not ${quote(client)}`)
  }
  if (typeof key !== 'string') wrong(`key must be a string, not ${quote(key)}`)
  if (ok !== true && ok !== false && ok !== 'unknown') wrong(`ok must be true, false or "unknown", not ${quote(ok)}`)
  if (!isTime(call)) wrong(`its call time must be a number below 2^53, not ${quote(call)}`)
  if (ok !== 'unknown') {
    if (!isTime(operation.return)) wrong(`its return time must be a number below 2^53, not ${quote(operation.return)}`)
    if (operation.return! < call) wrong(`it returns at ${operation.return}, before its call at ${call}`)
  }
  if (index !== undefined && !(Number.isSafeInteger(index) && index >= 0)) {
    wrong(`index must be an integer from 0, not ${quote(index)}`)
  }
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Math.abs(value) <= Number.MAX_SAFE_INTEGER
}

/**
 * That every client has one operation open at a time, and is not heard of again after an unknown outcome: such a
 * client's later operations would be said to follow one that is still going on.
 */
export class Clients {
  /** Per client, three numbers an operation: call, return, line. Histories have millions of them. */
  readonly #spans = new Map<string | number, number[]>()

  get size(): number {
    return this.#spans.size
  }

  add(operation: Operation<unknown, unknown>, line: number): void {
    const end = operation.ok === 'unknown' ? Number.POSITIVE_INFINITY : operation.return!
    const spans = this.#spans.get(operation.client)
    if (spans === undefined) this.#spans.set(operation.client, [operation.call, end, line])
    else spans.push(operation.call, end, line)
  }

  /** Throws HistoryError at the first overlap. An operation may begin at the instant at which the one before ends. */
  verify(): void {
    for (const [client, spans] of this.#spans) {
      const order = inOrder(spans)
      for (let at = 1; at < order.length; at++) {
        const [before, here] = [order[at - 1]!, order[at]!]
        if (spans[here]! >= spans[before + 1]!) continue
        const [first, line] = [spans[before + 2]!, spans[here + 2]!]
        throw new HistoryError(
          spans[before + 1] === Number.POSITIVE_INFINITY
            ? `operation ${line}: client ${quote(client)} calls again after the unknown outcome of operation ${first}; give it a new name`
            : `operation ${line}: client ${quote(client)} calls at ${spans[here]}, while operation ${first} is open until ${spans[before + 1]}`,
          line,
        )
      }
    }
  }
}

/** Offsets of the spans by call, then by return. */
function inOrder(spans: readonly number[]): number[] {
  const order = Array.from({ length: spans.length / 3 }, (_, at) => at * 3)
  return order.sort((a, b) => spans[a]! - spans[b]! || compareEnds(spans[a + 1]!, spans[b + 1]!))
}

/** Infinity minus itself is not a number. */
function compareEnds(a: number, b: number): number {
  return a === b ? 0 : a - b
}
