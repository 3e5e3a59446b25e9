import { setTimeout as pause } from 'node:timers/promises'
import type { Random } from '../random.ts'
import { call } from './call.ts'
import type { History } from './history.ts'
import { SharedKey } from './keys.ts'

export interface LoadOptions {
  /** Names of clients and keys begin with it: no two clusters of a run have the same. */
  readonly name: string
  /** The members, now; none, and clients rest. */
  readonly endpoints: () => readonly string[]
  readonly history: History
  readonly random: Random
  /** How many keys are worked on at a time, and by how many clients each. */
  readonly keys: number
  readonly clientsPerKey: number
}

/** How many operations a client does on one member before it goes to another without need. */
const stay = 40

/** Clients that do not pause for faults: each has one operation open at any time, on the member that it was last answered by. */
export class Load {
  readonly #options: LoadOptions
  readonly #clients: Promise<void>[] = []
  #stopping = false
  #failed: Error | undefined

  constructor(options: LoadOptions) {
    this.#options = options
    for (let key = 0; key < options.keys; key++) {
      const shared = new SharedKey(`${options.name}-${key}`, options.clientsPerKey)
      for (let at = 0; at < options.clientsPerKey; at++) {
        const name = `${options.name}-${key}.${at}`
        this.#clients.push(
          this.#client(name, shared, options.random.split(name)).catch((error) => {
            this.#failed = error
          }),
        )
      }
    }
  }

  /** Resolves once no operation is open. */
  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.all(this.#clients)
    if (this.#failed) throw this.#failed
  }

  async #client(name: string, shared: SharedKey, random: Random): Promise<void> {
    const { endpoints, history } = this.#options
    let life = 0
    let refusals = 0
    let endpoint: string | undefined
    for (let count = 0; !this.#stopping; count++) {
      const before = endpoints()
      if (before.length === 0) {
        await pause(20)
        continue
      }
      endpoint ??= random.pick(before)
      const item = `${name}.${count}`
      const key = shared.name
      const { operation, refused } = await call(endpoint, `${name}#${life}`, key, shared.next(random, item))
      shared.learn(operation)
      history.add(operation)
      // What is still going on of it must not overlap what the same client does next.
      if (operation.ok === 'unknown') life++
      refusals = refused ? refusals + 1 : 0
      const members = endpoints()
      if (operation.ok !== true || !members.includes(endpoint) || random.chance(1 / stay)) {
        const others = members.filter((member) => member !== endpoint)
        endpoint = others.length > 0 ? random.pick(others) : members[0]
      }
      // Everybody refuses: only then is there a moment's rest, or else refusals were all that it did.
      if (refusals >= members.length) await pause(20)
    }
  }
}
