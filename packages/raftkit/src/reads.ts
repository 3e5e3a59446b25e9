import { type Environment, isRaftkitError, RaftkitError, type StateMachine } from '@raftkit/contract'
import type { QueryOptions } from './calls.ts'
import type { CallKind, Ending } from './pending.ts'
import type { Replica } from './replica.ts'

export type Consistency = NonNullable<QueryOptions['consistency']>

/** How long a read waits before it asks again, after a refusal that passes: an election is under way, leadership is handed over. */
const pause = 25

const leaseExpired: unique symbol = Symbol('lease expired')

/**
 * Queries of the machine. A read has no effect, so a refusal that passes, or a lost answer, is tried again until the call's own end.
 * `linearizable`: the leader confirms its leadership by a round of messages, and this machine applies up to what was committed then
 * (ReadIndex, thesis §6.4). `lease`: without a round, while clocks allow. `stale`: whatever this machine holds.
 */
export class Reads {
  readonly #replica: Replica
  readonly #machine: StateMachine
  readonly #environment: Environment
  readonly #timeout: number
  readonly #leases: boolean
  readonly #measure: (mode: Consistency, milliseconds: number) => void

  constructor(
    replica: Replica,
    machine: StateMachine,
    environment: Environment,
    options: { readonly timeout: number; readonly leases: boolean },
    measure: (mode: Consistency, milliseconds: number) => void,
  ) {
    this.#replica = replica
    this.#machine = machine
    this.#environment = environment
    this.#timeout = options.timeout
    this.#leases = options.leases
    this.#measure = measure
  }

  /** Runs `machine.query(question)` once the consistency that was asked for is given. */
  query(question: unknown, options: QueryOptions = {}): Promise<unknown> {
    return this.#run(() => this.#machine.query(question), options)
  }

  /** Resolves when this machine holds all that was committed when the call began. */
  barrier(options: QueryOptions = {}): Promise<void> {
    return this.#run(() => undefined, options)
  }

  async #run<T>(answer: () => T, options: QueryOptions): Promise<T> {
    const { consistency = 'linearizable', timeout = this.#timeout, ...rest } = options
    if (consistency !== 'linearizable' && consistency !== 'lease' && consistency !== 'stale')
      throw new RaftkitError(
        'INVALID_OPTION',
        `consistency is ${String(consistency)}; give linearizable, lease or stale`,
      )
    const began = this.#environment.now()
    if (consistency === 'stale') return this.#stale(answer, began)
    if (consistency === 'lease' && !this.#leases)
      throw new RaftkitError(
        'INVALID_OPTION',
        'lease reads need the option leases: { drift }; without it, ask for linearizable ones',
      )
    const deadline = began + timeout
    let mode: 'linearizable' | 'lease' = consistency
    for (;;) {
      try {
        const left = Math.max(1, deadline - this.#environment.now())
        const given = await this.#replica.pending.call(this.#kind(mode, answer), { ...rest, timeout: left })
        if (given !== leaseExpired) {
          this.#measure(mode, this.#environment.now() - began)
          return given
        }
        mode = 'linearizable' // a round answers what the clock could not
      } catch (error) {
        const passing = isRaftkitError(error) && (error.retryable || error.code === 'UNKNOWN_OUTCOME')
        if (!passing || error.code === 'TIMEOUT' || this.#environment.now() + pause >= deadline) throw error
        await sleep(this.#environment, pause)
      }
    }
  }

  #stale<T>(answer: () => T, began: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const run = (): void => {
        try {
          resolve(answer())
          this.#measure('stale', this.#environment.now() - began)
        } catch (error) {
          reject(error)
        }
      }
      this.#replica.applier.between(0, run, reject)
    })
  }

  #kind<T>(consistency: 'linearizable' | 'lease', answer: () => T): CallKind<T | typeof leaseExpired> {
    return {
      effect: false,
      bytes: 0,
      event: (id) => ({ type: 'read', id, consistency }),
      accept: (settled, ending: Ending<T | typeof leaseExpired>) => {
        if (settled.type !== 'read') return
        const { index, until } = settled
        const run = (): void => {
          try {
            const given = answer()
            // Only now: the process may have stood still while the answer was computed, and another leader may have been elected.
            const valid = until === undefined || this.#environment.now() < until
            ending.done(valid ? given : leaseExpired)
          } catch (error) {
            ending.fail(error)
          }
        }
        this.#replica.applier.between(index, run, (error) => ending.fail(error))
      },
    }
  }
}

export function sleep(environment: Environment, milliseconds: number): Promise<void> {
  return new Promise((resolve) => void environment.at(environment.now() + milliseconds, resolve))
}
