import { type Answer, type Ask, type Index, isRaftkitError, type Settled } from '@raftkit/contract'
import { flawOfChange } from './changing.ts'
import type { Entry } from './entry.ts'
import { configurationChecks, decodeConfiguration } from './epochs.ts'
import { isEqual } from './hash.ts'
import type { Own } from './own.ts'
import { isBarrier } from './records.ts'
import { decodeRequest, encodeRequest, type Request, requestCheck, requestIn } from './request.ts'
import { mayAsk } from './requests.ts'
import type { Server } from './server.ts'
import type { Check } from './statement.ts'
import { knows } from './succession.ts'
import { leaderOf } from './telling.ts'
import { type Asked, Waiting } from './waiting.ts'

export interface CallLimits {
  readonly proposalBytes: number
  /** Bytes of own proposals that may wait. */
  readonly waitingBytes: number
}

/** A configuration that somebody handed in at this node: the call ends with its epoch. */
interface Change {
  readonly epoch: number
  readonly item: Uint8Array
}

interface Submitted extends Asked {
  readonly bytes: Uint8Array
}

/** What is signed or verified meanwhile. */
type Purpose =
  | { readonly type: 'own'; readonly asked: readonly Asked[] }
  | { readonly type: 'submitted'; readonly asked: readonly Submitted[] }
  | { readonly type: 'change'; readonly id: number; readonly change: Change }

/** What a turn gives. */
interface Turn {
  asks: Ask[]
  settled: Settled[]
  /** For whoever leads. */
  placed: Uint8Array[]
}

/** Requests that wait at a member beyond this are refused. */
const mostWaiting = 16_384
/** Every so many entries those who wait for what can never come are told. */
const sweepEntries = 64

/**
 * The calls of this node, until they are settled. Proposals and reads become requests of its own; those of clients outside are believed, and
 * looked up, once their signature was verified; both then wait for their request to be executed. A change waits for the end of the epoch.
 */
export class Calls {
  readonly #server: Server
  readonly #limits: CallLimits
  #own: Own
  #waiting: Waiting = new Waiting()
  #changes: Map<number, Change> = new Map()
  /** Submitted since the last turn. */
  #submitted: Submitted[] = []
  #purposes: Map<number, Purpose> = new Map()
  #asked = 0
  /** Something waits whose numbers were used. */
  #isSpent = false
  #turn: Turn = { asks: [], settled: [], placed: [] }

  constructor(server: Server, own: Own, limits: CallLimits) {
    this.#server = server
    this.#own = own
    this.#limits = limits
  }

  fork(server: Server): Calls {
    const copy = new Calls(server, this.#own.fork(), this.#limits)
    copy.#waiting = this.#waiting.fork()
    copy.#changes = new Map(this.#changes)
    copy.#submitted = [...this.#submitted]
    copy.#purposes = new Map(this.#purposes)
    copy.#asked = this.#asked
    copy.#isSpent = this.#isSpent
    const { asks, settled, placed } = this.#turn
    copy.#turn = { asks: [...asks], settled: [...settled], placed: [...placed] }
    return copy
  }

  propose(id: number, data: Uint8Array): void {
    const { proposalBytes, waitingBytes } = this.#limits
    if (this.#refuses(id)) return
    if (data.length === 0)
      return this.refuse(id, 'INVALID_VALUE', 'an empty proposal executes nothing; propose something')
    if (data.length > proposalBytes)
      return this.refuse(id, 'TOO_LARGE', `a proposal of ${data.length} bytes; at most ${proposalBytes} are allowed`)
    if (this.#own.waitingBytes + data.length > waitingBytes || this.#server.pool.size >= mostWaiting)
      return this.refuse(id, 'OVERLOADED', 'too many proposals wait already; try again later')
    this.#own.propose(id, data)
  }

  read(id: number, consistency: 'linearizable' | 'lease'): void {
    if (this.#refuses(id)) return
    if (consistency === 'linearizable') return this.#own.read(id)
    this.refuse(
      id,
      'REFUSED',
      'a lease rests on the word of a leader, and one that lies keeps none; ask for a linearizable read',
    )
  }

  /** Refused without a look at its signature, if there is a reason. */
  submit(id: number, bytes: Uint8Array): void {
    const { batchBytes } = this.#server.settings
    if (this.#refuses(id)) return
    if (this.#server.pool.size >= mostWaiting)
      return this.refuse(id, 'OVERLOADED', 'too many requests wait already; try again later')
    if (bytes.length > batchBytes)
      return this.refuse(
        id,
        'TOO_LARGE',
        `a request of ${bytes.length} bytes; at most ${batchBytes} fit an entry: send several`,
      )
    try {
      const request = requestIn(bytes) ?? decodeRequest(bytes)
      const { length: count } = request.operations
      if (request.operations.some(isBarrier))
        return this.refuse(id, 'REFUSED', 'an empty operation executes nothing; leave it out')
      if (!mayAsk(this.#server, request.client)) return this.refuse(id, 'REFUSED', 'nobody by that key may ask here')
      const done = (index: Index, term: number): Settled => ({ type: 'committed', id, index, term, count })
      this.#submitted.push({ request, bytes, calls: [{ id, done }] })
    } catch (error) {
      if (!isRaftkitError(error)) throw error
      this.refuse(id, 'REFUSED', `this is no request: ${error.message}`)
    }
  }

  /** `item`: a configuration as operators signed it. Its signatures are looked at here, so that whoever brings bad ones is told. */
  change(id: number, item: unknown): void {
    const { members, settings } = this.#server
    if (members.operators === undefined)
      return this.refuse(
        id,
        'MEMBERSHIP_FIXED',
        'this cluster was founded without operators: its members stay who they are',
      )
    if (this.#refuses(id)) return
    if (!(item instanceof Uint8Array))
      return this.refuse(
        id,
        'REFUSED',
        'members that sign change by what operators signed: members.change(encodeConfiguration(configuration, approvals))',
      )
    const flaw = flawOfChange(this.#server, item)
    if (flaw) return this.refuse(id, flaw.code, flaw.reason)
    const checks = configurationChecks(settings.digest, members, item)
    this.#verify(checks, { type: 'change', id, change: { epoch: members.epoch, item } })
  }

  refuse(id: number, code: string, reason: string): void {
    const leader = leaderOf(this.#server)
    this.#turn.settled.push({ type: 'refused', id, code, reason, ...(leader === undefined ? {} : { leader }) })
  }

  answered(ask: number, answer: Answer, now: number): void {
    const purpose = this.#purposes.get(ask)
    this.#purposes.delete(ask)
    if (answer.type === 'sign' && purpose?.type === 'own')
      for (const { request, calls } of purpose.asked) {
        const signed = { ...request, signature: answer.signature }
        this.#place({ request: signed, calls, bytes: encodeRequest(signed) }, now)
      }
    if (answer.type === 'verify' && purpose?.type === 'change') this.#changed(purpose, answer.valid, now)
    if (answer.type === 'verify' && purpose?.type === 'submitted')
      for (const [at, asked] of purpose.asked.entries())
        if (answer.valid[at]) this.#place(asked, now)
        else
          for (const { id } of asked.calls)
            this.refuse(id, 'REFUSED', 'its signature is none of its client for this cluster')
  }

  /** Whoever waits here for a request of these entries is told. */
  executed(entries: readonly Entry[]): void {
    for (const { header, items } of entries) {
      if (header.kind !== 'data') continue
      let index = header.position + 1
      for (const item of items) {
        const request = requestIn(item)!
        this.#turn.settled.push(...this.#waiting.executed(request, index, header.term))
        index += request.operations.length
      }
    }
    if (this.#isSpent || entries.some(({ header }) => header.index % sweepEntries === 0)) this.skipped()
  }

  /** What was executed unseen left no trace here. */
  skipped(): void {
    this.#isSpent = false
    this.#turn.settled.push(...this.#waiting.spent(this.#server.used))
  }

  /** Changes of the epochs that are over. */
  epochEnded(): void {
    for (const [id, { epoch, item }] of this.#changes) {
      const step = this.#server.epochs[epoch]
      if (step === undefined) continue
      this.#changes.delete(id)
      const { header, items } = step.entry
      if (isEqual(items[0]!, item))
        this.#turn.settled.push({ type: 'committed', id, index: header.position + 1, term: header.term })
      else this.refuse(id, 'REFUSED', `another configuration ended epoch ${epoch}: sign one for the epoch of now`)
    }
  }

  /** This node is no member any more, or has stopped: nobody takes anything of it. */
  abandon(): void {
    const asked: Asked[] = [...this.#submitted]
    for (const [ask, purpose] of this.#purposes) {
      if (purpose.type === 'change') continue
      asked.push(...purpose.asked)
      this.#purposes.delete(ask)
    }
    this.#submitted = []
    this.#turn.placed = []
    for (const id of [...this.#own.abandon(), ...asked.flatMap(({ calls }) => calls.map((call) => call.id))])
      this.#refuses(id)
    this.#turn.settled.push(...this.#waiting.abandon('this node was removed, or has seen a fork; ask another'))
  }

  take(): Turn {
    for (const asked of this.#own.take(this.#server.used)) {
      this.#purposes.set(++this.#asked, { type: 'own', asked: [asked] })
      this.#turn.asks.push({ type: 'sign', id: this.#asked, bytes: this.#check(asked.request).bytes })
    }
    const submitted = this.#submitted
    const checks = submitted.map(({ request }) => this.#check(request))
    if (submitted.length > 0) this.#verify(checks, { type: 'submitted', asked: submitted })
    this.#submitted = []
    const turn = this.#turn
    this.#turn = { asks: [], settled: [], placed: [] }
    return turn
  }

  /** While it is none of the members, and once it has seen a fork. */
  #refuses(id: number): boolean {
    const { me, settings, isForked } = this.#server
    const { self, key } = settings
    if (isForked)
      this.refuse(id, 'DIVERGED', 'certificates contradict each other, so more than f lie: nothing is committed here')
    else if (me < 0) {
      const when = knows(this.#server, self, key) ? 'any more' : 'yet'
      this.refuse(id, 'NOT_A_MEMBER', `${self} is no member ${when}: ask one that is`)
    }
    return isForked || me < 0
  }

  #check(request: Request): Check {
    const { settings, genesis } = this.#server
    return requestCheck(settings.digest, genesis, request)
  }

  #verify(checks: readonly Check[], purpose: Purpose): void {
    this.#purposes.set(++this.#asked, purpose)
    this.#turn.asks.push({ type: 'verify', id: this.#asked, checks })
  }

  /** Its signature is one. */
  #place({ request, calls, bytes }: Submitted, now: number): void {
    const settled = this.#waiting.add({ request, calls })
    if (settled) return void this.#turn.settled.push(...settled)
    // It may be among what this turn is still to hand out.
    this.#isSpent ||= !this.#server.used.isFresh(request)
    this.#server.step({ type: 'request', request: bytes, time: this.#server.wall, isVerified: true }, now)
    this.#turn.placed.push(bytes)
  }

  #changed({ id, change }: Extract<Purpose, { type: 'change' }>, valid: readonly boolean[], now: number): void {
    const { approvals } = decodeConfiguration(change.item)
    const forged = approvals.find((_, at) => !valid[at])
    if (forged)
      return this.refuse(id, 'REFUSED', `operator ${forged.operator} did not sign this configuration for this epoch`)
    this.#changes.set(id, change)
    if (change.epoch === this.#server.members.epoch) this.#server.step({ type: 'configure', item: change.item }, now)
    else this.epochEnded()
  }
}
