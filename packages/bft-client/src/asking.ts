import { type Index, isRaftkitError, type NodeId, type Outcome, RaftkitError } from '@raftkit/contract'
import { Agreement } from './agreement.ts'
import { type Addressed, type Answer, type Ask, decodeAnswer, encodeAsk } from './envelope.ts'
import type { Epochs } from './epochs.ts'

/** How an app reaches its members: HTTP, gRPC, a socket. It should know by its channel that it speaks with that member. */
export interface Wire {
  /**
   * Resolves with the bytes the member answered, which `answering` made; rejects if none come. `signal`: nobody waits any more. `address`: where members
   * dial that one, as the configuration says that made it a member, or `trust`.
   */
  send(member: NodeId, ask: Uint8Array, signal: AbortSignal, address: string | undefined): Promise<Uint8Array>
}

/** A member that is not as it should be. Nothing has to be done about it: a call goes on as long as enough others answer. */
export type Report =
  /** It answered otherwise than f + 1 members did: it lies, or its machine is not deterministic. */
  | { readonly type: 'mismatch'; readonly member: NodeId }
  /** Its receipt, for a request or of how the members changed, does not prove what it should. */
  | { readonly type: 'invalidReceipt'; readonly member: NodeId; readonly reason: string }
  /** Its answer is none. */
  | { readonly type: 'malformed'; readonly member: NodeId; readonly reason: string }
  /** No answer came. */
  | { readonly type: 'unreachable'; readonly member: NodeId; readonly reason: string }

export interface CallOptions {
  /** Aborting rejects with `ABORTED`. What was sent may happen nevertheless: `outcome` says so. */
  readonly signal?: AbortSignal
  /** Milliseconds for the whole call. */
  readonly timeout?: number
}

export interface Asking {
  readonly epochs: Epochs
  /** Told of a newer epoch, and how it is proven. */
  readonly learned: (proof: Uint8Array) => void
  readonly wire: Wire
  readonly report: (report: Report) => void
  /** Milliseconds until all members are asked. */
  readonly patience: number
  readonly timeout: number
}

/** Milliseconds between asking a member again. */
const [firstPause, longestPause] = [50, 1_000]
/** Milliseconds after the end of a call in which those who were asked are still heard: a liar must not get by unseen by being slow. */
const afterwards = 1_000

/** The members changed while something was asked: what the old ones said counts no more. */
const moved = Symbol('moved')

/** Asks the members of the newest epoch that is proven, the one that leads first, and again, until enough was said. */
export class Members {
  readonly #asking: Asking
  #leader: NodeId | undefined
  /** Of each member, the configuration for which it was asked for proof last, unless it gave none. */
  readonly #followed: Map<NodeId, { readonly configuration: Index; readonly done: Promise<void> }> = new Map()
  /** One for each ask under way. */
  readonly #onMove: Set<() => void> = new Set()

  constructor(asking: Asking) {
    this.#asking = asking
  }

  /**
   * What f + 1 members answer alike. First only f + 1 are asked; all of them after the patience, and as soon as they differ or one fails.
   * Rejects with what f + 1 refuse it for, else `TIMEOUT` or `ABORTED`.
   */
  async agree(ask: Ask, options: CallOptions): Promise<{ readonly answer: Answer; readonly by: readonly NodeId[] }> {
    const heard = await this.#inOneEpoch(options, (rest) => {
      const { trust, newest } = this.#asking.epochs
      const agreement = new Agreement(newest.list.length, trust.digest)
      return this.#until(ask, rest, agreement.needed, {
        hear: (member, answer) => {
          agreement.hear(member, answer)
          const { agreed } = agreement
          if (agreed) return agreed
          // What was executed is executed: that member has said its last word. A read may catch up with the others.
          return ask.type === 'submit' || answer.type === 'failed' ? 'final' : 'again'
        },
        late: (member, answer) => {
          agreement.hear(member, answer)
          if (agreement.agreed?.against.includes(member)) this.#mismatch(ask, member)
        },
        progress: () => `${agreement.most} of ${agreement.needed} members answered alike, ${agreement.heard} at all`,
      })
    })
    for (const member of heard.against) this.#mismatch(ask, member)
    const { answer } = heard
    if (answer.type === 'failed')
      throw new RaftkitError(answer.code, answer.reason, { outcome: answer.outcome, retryable: false })
    return heard
  }

  /** Of a read it says nothing: honest members may be behind. */
  #mismatch({ type }: Ask, member: NodeId): void {
    if (type === 'submit') this.#asking.report({ type: 'mismatch', member })
  }

  /** The first answer that `accept` takes; it may refuse one by throwing. */
  async first<T>(ask: Ask, options: CallOptions, accept: (answer: Answer, member: NodeId) => Promise<T>): Promise<T> {
    let why = 'none answered'
    return this.#inOneEpoch(options, (rest) =>
      this.#until(ask, rest, 1, {
        hear: async (member, answer) => {
          try {
            return { value: await accept(answer, member) }
          } catch (error) {
            why = (error as Error).message
            return 'again'
          }
        },
        progress: () => why,
      }),
    ).then(({ value }) => value)
  }

  /** Resolves once f + 1 members proved no more than is known, and at least that. Rejects `TIMEOUT` or `ABORTED`. */
  async follow(options: CallOptions): Promise<void> {
    await this.#inOneEpoch(options, (rest) => {
      const { newest } = this.#asking.epochs
      const proved = new Set<NodeId>()
      return this.#until({ type: 'epochs' }, rest, newest.list.length, {
        hear: async (member, answer) => {
          if (answer.type === 'bytes' && (await this.#learn(member, answer.bytes)) === newest.epoch + 1)
            proved.add(member)
          return proved.size > newest.faults ? { proved } : 'again'
        },
        progress: () => `${proved.size} of ${newest.faults + 1} members proved who they are now`,
      })
    })
  }

  /** Under one deadline, as often as the members change meanwhile. */
  async #inOneEpoch<T>(
    { signal, timeout = this.#asking.timeout }: CallOptions,
    ask: (options: CallOptions) => Promise<T>,
  ): Promise<T> {
    if (signal?.aborted)
      throw new RaftkitError('ABORTED', 'the call was aborted before it began', { outcome: 'refused' })
    const end = performance.now() + timeout
    for (;;) {
      const rest = { timeout: Math.max(1, end - performance.now()), ...(signal && { signal }) }
      try {
        return await ask(rest)
      } catch (reason) {
        if (reason !== moved) throw reason
      }
    }
  }

  /** How many epochs that member proves; undefined: none. */
  async #learn(member: NodeId, proof: Uint8Array): Promise<number | undefined> {
    const { epochs, report, learned } = this.#asking
    const before = epochs.newest
    let count: number
    try {
      count = await epochs.learn(proof)
    } catch (error) {
      report({ type: 'invalidReceipt', member, reason: (error as Error).message })
      return undefined
    }
    if (epochs.proof === proof && epochs.newest.epoch > before.epoch) {
      for (const move of [...this.#onMove]) move()
      learned(proof)
    }
    return count
  }

  async #until<T extends object>(
    ask: Ask,
    { signal, timeout = this.#asking.timeout }: CallOptions,
    atFirst: number,
    {
      hear,
      late,
      progress,
    }: {
      readonly hear: (member: NodeId, answer: Answer) => T | 'final' | 'again' | Promise<T | 'final' | 'again'>
      /** An answer that came when all was said. */
      readonly late?: (member: NodeId, answer: Answer) => void
      readonly progress: () => string
    },
  ): Promise<T> {
    const outcome: Outcome = ask.type === 'submit' ? 'unknown' : 'refused'
    const bytes = encodeAsk(ask)
    const [done, over] = [new AbortController(), new AbortController()]
    const open = this.#order()
    const answered = new Set<NodeId>()
    const told = new Set<string>()
    const report = (one: Report): void => {
      const name = `${one.type} ${one.member}`
      if (!told.has(name) && !done.signal.aborted) this.#asking.report(one)
      told.add(name)
    }
    return new Promise<T>((resolve, reject) => {
      const end = (settle: () => void): void => {
        if (done.signal.aborted) return
        done.abort()
        // No program has to stay for it, where the platform can tell.
        if (late) setTimeout(() => over.abort(), afterwards).unref?.()
        else over.abort()
        clearTimeout(patience)
        clearTimeout(deadline)
        signal?.removeEventListener('abort', onAbort)
        this.#onMove.delete(onMove)
        settle()
      }
      const fail = (code: 'ABORTED' | 'TIMEOUT', what: string): void =>
        end(() => reject(new RaftkitError(code, `${what}: ${progress()}`, { outcome, retryable: true })))
      const onAbort = (): void => fail('ABORTED', 'the caller gave up')
      const onMove = (): void => {
        over.abort()
        end(() => reject(moved))
      }
      const all = (): void => {
        for (const member of open.splice(0)) void talk(member)
      }
      const patience = setTimeout(all, this.#asking.patience)
      const deadline = setTimeout(() => fail('TIMEOUT', `after ${Math.ceil(timeout)} ms`), timeout)
      // Asked for the second time, it may be over already.
      if (signal?.aborted) return onAbort()
      signal?.addEventListener('abort', onAbort)
      this.#onMove.add(onMove)

      const talk = async (member: NodeId): Promise<void> => {
        for (let pause = firstPause; !done.signal.aborted; pause = Math.min(longestPause, pause * 2)) {
          const said = await this.#ask(member, bytes, over.signal, report)
          const isAnswer = said !== undefined && !(said.type === 'failed' && said.retryable)
          if (done.signal.aborted) return isAnswer ? late?.(member, said) : undefined
          if (isAnswer) {
            const heard = await hear(member, said)
            if (typeof heard === 'object') return end(() => resolve(heard))
            answered.add(member)
            // Those who were asked differ.
            if (answered.size >= atFirst) all()
            if (heard === 'final') return
          } else all()
          await wait(pause, done.signal)
        }
      }
      for (const member of open.splice(0, atFirst)) void talk(member)
    })
  }

  /** Undefined: no answer, or none that can be read. */
  async #ask(
    member: NodeId,
    bytes: Uint8Array,
    signal: AbortSignal,
    report: (report: Report) => void,
  ): Promise<Answer | undefined> {
    const { epochs } = this.#asking
    const said = await this.#send(member, bytes, signal, report)
    if (said?.leader !== undefined && epochs.newest.signer(said.leader) !== undefined) this.#leader = said.leader
    // Before what it says counts: perhaps others are to be asked.
    if (said && epochs.isNews(said.configuration)) await this.#proofOf(member, said.configuration, signal, report)
    return said?.answer
  }

  async #send(
    member: NodeId,
    bytes: Uint8Array,
    signal: AbortSignal,
    report: (report: Report) => void,
  ): Promise<Addressed | undefined> {
    const { wire, epochs } = this.#asking
    const { address } = epochs.newest.list.find(({ id }) => id === member) ?? {}
    try {
      return decodeAnswer(await wire.send(member, bytes, signal, address))
    } catch (error) {
      if (!signal.aborted) {
        const unreadable = isRaftkitError(error, 'MALFORMED') || isRaftkitError(error, 'UNKNOWN_FORMAT')
        report({ type: unreadable ? 'malformed' : 'unreachable', member, reason: (error as Error).message })
      }
      return undefined
    }
  }

  /** A member that goes by a newer configuration is asked for proof, once for each. */
  async #proofOf(
    member: NodeId,
    configuration: Index,
    signal: AbortSignal,
    report: (report: Report) => void,
  ): Promise<void> {
    const asked = this.#followed.get(member)
    if (asked?.configuration === configuration) return asked.done
    const ask = async (): Promise<void> => {
      const said = await this.#send(member, encodeAsk({ type: 'epochs' }), signal, report)
      if (said?.answer.type === 'bytes') await this.#learn(member, said.answer.bytes)
      else this.#followed.delete(member)
    }
    const done = ask()
    this.#followed.set(member, { configuration, done })
    return done
  }

  /** Who is taken for the leader first: a hint, which a liar may give too, and which costs no more than the patience. */
  #order(): NodeId[] {
    const ids = this.#asking.epochs.newest.list.map(({ id }) => id)
    const at = Math.max(0, this.#leader === undefined ? 0 : ids.indexOf(this.#leader))
    return [...ids.slice(at), ...ids.slice(0, at)]
  }
}

/** Ends early, without an error, when `signal` aborts. */
function wait(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, milliseconds)
    signal.addEventListener('abort', end)
  })
}
