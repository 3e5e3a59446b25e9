import { decodeRequest, encodeRequest, mostOperations, requestCheck, type Trust } from '@raftkit/bft'
import { type Index, type NodeId, type Outcome, RaftkitError, type Signatures } from '@raftkit/contract'
import { type CallOptions, Members, type Report, type Wire } from './asking.ts'
import type { Answer } from './envelope.ts'
import { Epochs } from './epochs.ts'
import { Numbers } from './numbers.ts'
import { type ProvenReceipt, receiptVerifier } from './receipts.ts'

export interface BftClientOptions {
  /**
   * Whom to believe: the members of each epoch that is known, the founders' first; those of the newest are asked. The founders are enough, as long as
   * one of them is a member still, or tells.
   */
  readonly trust: Trust
  /** The client's key, which is its identity, and the members' rule of verifying. */
  readonly signatures: Signatures
  readonly wire: Wire
  /** Milliseconds until all members are asked instead of f + 1. Default 500. */
  readonly patience?: number
  /** Milliseconds for a call. Default 10,000. */
  readonly timeout?: number
  /** Told of members that are not as they should be. */
  readonly report?: (report: Report) => void
  /** Told when the members changed: `proof` as `follow` gives it. Keep it, and the next client need not find those who can tell. */
  readonly learned?: (proof: Uint8Array) => void
}

/** What f + 1 members say became of a request. */
export interface Executed {
  /** Where the first operation stands; the others follow. */
  readonly position: Index
  /** One for each operation: what the machine answered, in its bytes. */
  readonly results: readonly Uint8Array[]
  /** As it was sent, signature and all. */
  readonly request: Uint8Array
  /** Who says so. */
  readonly by: readonly NodeId[]
}

/** All calls reject with Raftkit's errors; `outcome` of `submit` and `send`: `refused`, it did not happen and will not; `unknown`, it may have. */
export interface BftClient {
  /** Its public key. */
  readonly key: Uint8Array
  /** The members of each epoch, the founders' first, as far as it knows: each behind those that were given is proven. It never goes back. */
  readonly epochs: Trust['epochs']
  /**
   * Signs 1 to 64 operations as one request, which is executed as a whole or not at all, and once: it is sent until f + 1 members say the same of
   * it. Rejects `INVALID_OPTION`, `TIMEOUT`, `ABORTED`, or what f + 1 members refuse it for.
   */
  submit(operations: readonly Uint8Array[], options?: CallOptions): Promise<Executed>
  /**
   * The first half of `submit`: keep the bytes before you send them, and what was unknown can be sent again, by another process too, without
   * happening twice. Until it has been sent, it holds up numbers: at most 256 operations of a client are open at the same time.
   */
  sign(operations: readonly Uint8Array[], options?: CallOptions): Promise<Uint8Array>
  /** The second half: sends what was signed, by whomever. */
  send(request: Uint8Array, options?: CallOptions): Promise<Executed>
  /**
   * The receipt for what stands at that position, verified. Ask soon, unless the members keep an archive: others forget what they could prove, and their proof
   * grows with the distance. Rejects `TIMEOUT` or `ABORTED` if no member gives a valid one.
   */
  receipt(position: Index, options?: CallOptions): Promise<ProvenReceipt>
  /** The app's own question, answered alike by f + 1 members: true as of some moment, and not always the newest. Rejects as `submit`. */
  read(question: Uint8Array, options?: CallOptions): Promise<Uint8Array>
  /**
   * Asks who the members are now, and resolves with how that is proven once f + 1 of them know of no newer ones: `readEpochs` believes it from the founders
   * alone. It need not be called: a member that goes by a newer configuration says so with each answer, and is asked for proof before the answer counts;
   * what is under way is then asked of the new members. Rejects `TIMEOUT` or `ABORTED`.
   */
  follow(options?: CallOptions): Promise<Uint8Array>
}

/** Throws `INVALID_OPTION`. Opens nothing: what it keeps is the numbers of its session, which is higher than those before it by the clock. */
export function bftClient(options: BftClientOptions): BftClient {
  const { trust, signatures, wire, report = () => {}, learned = () => {}, patience = 500, timeout = 10_000 } = options
  for (const [name, value] of Object.entries({ patience, timeout }))
    if (!(value > 0)) throw new RaftkitError('INVALID_OPTION', `${name} is ${value}; give milliseconds above 0`)
  const epochs = new Epochs(trust, signatures)
  const { digest } = trust
  const genesis = trust.epochs[0]!.genesis.hash
  const members = new Members({ epochs, learned, wire, report, patience, timeout })
  const numbers = new Numbers()
  const session = newSession()

  const client: BftClient = {
    key: signatures.key,

    get epochs() {
      return epochs.trust.epochs
    },

    async submit(operations, call = {}) {
      const until = deadline(call, timeout)
      return client.send(await client.sign(operations, call), { ...call, timeout: until() })
    },

    async sign(operations, { signal, timeout: within = timeout } = {}) {
      checkOperations(operations)
      const seq = await seqFor(numbers, operations.length, signal, within)
      const unsigned = { client: signatures.key, session, seq, operations, signature: new Uint8Array() }
      try {
        const signature = await signatures.sign(requestCheck(digest, genesis, unsigned).bytes)
        return encodeRequest({ ...unsigned, signature })
      } catch (cause) {
        numbers.release(seq)
        throw new RaftkitError('SIGNING_FAILED', 'the request could not be signed', { cause, outcome: 'refused' })
      }
    },

    async send(request, call = {}) {
      const { client: key, session: of, seq } = decodeRequest(request)
      const isOwn = of === session && key.every((byte, at) => byte === signatures.key[at])
      try {
        const { answer, by } = await members.agree({ type: 'submit', request }, call)
        if (answer.type !== 'executed') throw unexpected(answer)
        return { position: answer.position, results: answer.results, request, by }
      } finally {
        if (isOwn) numbers.release(seq)
      }
    },

    async receipt(position, call = {}) {
      return members.first({ type: 'receipt', position }, call, async (answer, member) => {
        if (answer.type !== 'bytes') throw unexpected(answer)
        try {
          const proven = await receiptVerifier({ ...epochs.trust, signatures })(answer.bytes)
          const last = proven.position + proven.request.operations.length - 1
          if (position < proven.position || position > last)
            throw new RaftkitError('REFUSED', `it is for ${proven.position} to ${last}, and ${position} was asked for`)
          return { bytes: answer.bytes, proven }
        } catch (error) {
          report({ type: 'invalidReceipt', member, reason: (error as Error).message })
          throw error
        }
      })
    },

    async read(question, call = {}) {
      const { answer } = await members.agree({ type: 'read', question }, call)
      if (answer.type !== 'bytes') throw unexpected(answer)
      return answer.bytes
    },

    async follow(call = {}) {
      await members.follow(call)
      return epochs.proof!
    },
  }
  return client
}

function checkOperations(operations: readonly Uint8Array[]): void {
  if (operations.length < 1 || operations.length > mostOperations)
    throw new RaftkitError('INVALID_OPTION', `${operations.length} operations: a request has 1 to ${mostOperations}`, {
      outcome: 'refused',
    })
  if (operations.some((operation) => operation.length === 0))
    throw new RaftkitError('INVALID_OPTION', 'an operation is empty: give bytes that the machine reads', {
      outcome: 'refused',
    })
}

/** Waits for room. Nothing is sent before, so whatever ends the wait, nothing happened. */
function seqFor(numbers: Numbers, count: number, signal: AbortSignal | undefined, within: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      settle()
    }
    const refuse = (code: 'ABORTED' | 'TIMEOUT', why: string): void => {
      forget()
      end(() => reject(new RaftkitError(code, why, { outcome: 'refused', retryable: true })))
    }
    const onAbort = (): void => refuse('ABORTED', 'the caller gave up before it was signed')
    let forget = (): void => {}
    const timer = setTimeout(() => refuse('TIMEOUT', `256 operations are open already, for ${within} ms`), within)
    if (signal?.aborted) return onAbort()
    signal?.addEventListener('abort', onAbort)
    forget = numbers.take(count, (seq) => end(() => resolve(seq)))
  })
}

/** What is left of a call's time. */
function deadline({ timeout }: CallOptions, otherwise: number): () => number {
  const at = performance.now() + (timeout ?? otherwise)
  return () => Math.max(1, at - performance.now())
}

function unexpected(answer: Answer): RaftkitError {
  const outcome: Outcome = 'unknown'
  if (answer.type === 'failed') return new RaftkitError(answer.code, answer.reason, { outcome: answer.outcome })
  return new RaftkitError('UNKNOWN_OUTCOME', 'members answered something that was not asked for', { outcome })
}

/** Below 2^53, and higher than any this client used before, since members remember its highest alone; two of one millisecond differ by chance. */
function newSession(): number {
  const [random] = crypto.getRandomValues(new Uint32Array(1)) as unknown as [number]
  return Date.now() * 2048 + (random & 2047)
}
