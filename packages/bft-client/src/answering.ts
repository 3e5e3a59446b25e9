import { type ErrorCode, type Index, isRaftkitError, type NodeId } from '@raftkit/contract'
import { type Answer, type Ask, decodeAsk, encodeAnswer } from './envelope.ts'

/** What a member can be asked for: a node, with `read` beside it if the app has questions of its own. */
export interface AnsweringMember {
  /** Executes a signed request once, however often it comes; of one that was executed before, what came of it. Rejects with Raftkit's errors. */
  submit(
    request: Uint8Array,
    options: { readonly signal: AbortSignal },
  ): Promise<{ readonly index: Index; readonly results: readonly Uint8Array[] }>
  /** For the request at that position, or for the configuration there. */
  receipt(index: Index): Uint8Array | undefined | Promise<Uint8Array | undefined>
  status(): { readonly leader: NodeId | undefined; readonly configIndex: Index }
  /** The app's own questions. All honest members must come to answer alike, byte for byte. */
  read?(question: Uint8Array, options: { readonly signal: AbortSignal }): Promise<Uint8Array>
}

/** The member's side of a `Wire`: from the bytes of an ask to those of its answer. Never rejects: what goes wrong is an answer, too. */
export function answering(member: AnsweringMember): (ask: Uint8Array, signal: AbortSignal) => Promise<Uint8Array> {
  return async (bytes, signal) => {
    let answer: Answer
    try {
      answer = await answerTo(member, decodeAsk(bytes), signal)
    } catch (error) {
      answer = failure(error)
    }
    const { leader, configIndex } = member.status()
    return encodeAnswer({ answer, leader, configuration: configIndex })
  }
}

async function answerTo(member: AnsweringMember, ask: Ask, signal: AbortSignal): Promise<Answer> {
  switch (ask.type) {
    case 'submit': {
      const { index, results } = await member.submit(ask.request, { signal })
      return { type: 'executed', position: index, results }
    }
    case 'receipt':
      return receiptFor(member, ask.position)
    case 'epochs':
      return receiptFor(member, member.status().configIndex)
    case 'read':
      if (member.read === undefined) return failed('REFUSED', 'this app answers no reads', false)
      return { type: 'bytes', bytes: await member.read(ask.question, { signal }) }
  }
}

async function receiptFor(member: AnsweringMember, position: Index): Promise<Answer> {
  const bytes = await member.receipt(position)
  return bytes === undefined ? failed('MISSING', `no receipt is known for ${position}`, true) : { type: 'bytes', bytes }
}

const failed = (code: ErrorCode, reason: string, retryable: boolean): Answer => ({
  type: 'failed',
  code,
  reason,
  outcome: 'refused',
  retryable,
})

/** What the bytes themselves are guilty of, every honest member finds in them. All else is this member's trouble, and may pass. */
const permanent = new Set(['MALFORMED', 'UNKNOWN_FORMAT', 'TOO_LARGE', 'REFUSED', 'INVALID_VALUE'])

function failure(error: unknown): Answer {
  if (!isRaftkitError(error))
    return { ...failed('UNKNOWN_OUTCOME', 'this member failed to answer', true), outcome: 'unknown' } as Answer
  const { code, message, outcome = 'refused' } = error
  const reason = message.startsWith(`${code}: `) ? message.slice(code.length + 2) : message
  return { type: 'failed', code, reason, outcome, retryable: error.retryable || !permanent.has(code) }
}
