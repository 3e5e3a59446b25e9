import type { Command, Json, KeyValueOperation } from '@raftkit/linearizability'
import type { Random } from '../random.ts'

/** Per key, so that the search of the checker stays small (no decision without them: it is NP-hard). */
const operationsMax = 200
const unknownMax = 5

/** A few clients work on one key at a time, and leave it for a new one before it has too much history. */
export class SharedKey {
  readonly #prefix: string
  readonly #clients: number
  #number = 0
  #operations = 0
  #unknown = 0
  /** Value that some client saw or wrote last: a compare-and-set on it has a chance. */
  #seen: Json = null

  constructor(prefix: string, clients: number) {
    this.#prefix = prefix
    this.#clients = clients
  }

  get name(): string {
    return `${this.#prefix}-${this.#number}`
  }

  /** The next operation of a client, on `name`. `item` is a text that was never written before. */
  next(random: Random, item: string): Command {
    this.#operations++
    const draw = random.next()
    if (draw < 0.35) return { op: 'get' }
    if (draw < 0.55) return { op: 'append', text: `+${item}` }
    if (draw < 0.75) return { op: 'put', value: item }
    if (draw < 0.95) return { op: 'cas', from: random.chance(0.1) ? null : this.#seen, to: item }
    return { op: 'delete' }
  }

  learn({ key, input, output, ok }: KeyValueOperation): void {
    if (key !== this.name) return
    if (ok === 'unknown' && input.op !== 'get') this.#unknown++
    if (ok === true) {
      if (input.op === 'get') this.#seen = output!
      else if (input.op === 'put') this.#seen = input.value
      else if (input.op === 'cas' && output === true) this.#seen = input.to
      else if (input.op === 'delete') this.#seen = null
    }
    // Every other client may have one open operation, and it may end as unknown.
    const spent = this.#operations + this.#clients > operationsMax || this.#unknown + this.#clients > unknownMax
    if (spent) this.#turn()
  }

  #turn(): void {
    this.#number++
    this.#operations = 0
    this.#unknown = 0
    this.#seen = null
  }
}
