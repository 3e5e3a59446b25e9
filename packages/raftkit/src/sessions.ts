import { fromHex, type Reader, toHex, type Writer } from '@raftkit/bytes'
import { type Index, RaftkitError } from '@raftkit/contract'
import { clientBytes, type Ticket } from './entry.ts'

/** How far the commands of a session may run ahead of the oldest unanswered one; so many answers it keeps at most. */
export const sessionWindow = 4096

interface Session {
  readonly client: string
  lastUse: Index
  /** Answers below are forgotten, and nothing below is ever executed. */
  low: number
  readonly answers: Map<number, Uint8Array>
}

export type Admission =
  | { readonly type: 'execute' }
  | { readonly type: 'repeated'; readonly answer: Uint8Array }
  | { readonly type: 'expired'; readonly horizon: Index }

const execute: Admission = { type: 'execute' }

/**
 * The replicated half of exactly-once (thesis §6.3): who may execute, and what was answered. Part of the machine: it changes only by
 * entries of the log, and stands in every snapshot, so that all replicas evict alike.
 *
 * Evicted is whoever was not used for longest. So `horizon`, the last use of any session that is gone, never falls, and a
 * session that is not here was not used after it. A client that knows its command to have been placed after `horizon`, if at all,
 * knows that it was never executed.
 */
export class SessionTable {
  /** By id, which is the index of the opening entry; hence in ascending order. */
  readonly #sessions = new Map<Index, Session>()
  readonly #byClient = new Map<string, Index>()
  #horizon: Index = 0

  get size(): number {
    return this.#sessions.size
  }

  /** The id of the client's session; a repeated opening finds the first. */
  open(client: Uint8Array, limit: number, index: Index): Index {
    const name = toHex(client)
    const known = this.#byClient.get(name)
    if (known !== undefined) {
      this.#sessions.get(known)!.lastUse = index
      return known
    }
    this.#sessions.set(index, { client: name, lastUse: index, low: 1, answers: new Map() })
    this.#byClient.set(name, index)
    while (this.#sessions.size > Math.max(1, limit)) this.#remove(this.#leastRecentlyUsed())
    return index
  }

  close(id: Index): void {
    if (this.#sessions.has(id)) this.#remove(id)
  }

  /** Whether the command of `ticket`, found at `index`, is to be executed; its answer must then be recorded. */
  admit({ session: id, seq, low }: Ticket, index: Index): Admission {
    const session = this.#sessions.get(id)
    if (!session) return { type: 'expired', horizon: this.#horizon }
    session.lastUse = index
    if (low > session.low) {
      // All answers lie in the window, however far `low` jumps.
      for (let old = session.low; old < Math.min(low, session.low + sessionWindow); old++) session.answers.delete(old)
      session.low = low
    }
    // Its client gave this one up, or does not keep to the window. It may have been executed at any index before this one.
    if (seq < session.low || seq >= session.low + sessionWindow) return { type: 'expired', horizon: index }
    const answer = session.answers.get(seq)
    return answer ? { type: 'repeated', answer } : execute
  }

  record({ session, seq }: Ticket, answer: Uint8Array): void {
    this.#sessions.get(session)!.answers.set(seq, answer)
  }

  write(writer: Writer): void {
    writer.u64(this.#horizon).u32(this.#sessions.size)
    for (const [id, { client, lastUse, low, answers }] of this.#sessions) {
      writer.u64(id).raw(fromHex(client)).u64(lastUse).u64(low).u32(answers.size)
      for (const [seq, answer] of answers) writer.u64(seq).bytes(answer)
    }
  }

  /** Throws `MALFORMED`. */
  static read(reader: Reader): SessionTable {
    const table = new SessionTable()
    table.#horizon = reader.u64()
    let before = 0
    for (let count = reader.count(44); count > 0; count--) {
      const id = reader.u64()
      const client = toHex(reader.raw(clientBytes))
      const session: Session = { client, lastUse: reader.u64(), low: reader.u64(), answers: new Map() }
      for (let answers = reader.count(12); answers > 0; answers--)
        session.answers.set(reader.u64(), new Uint8Array(reader.bytes()))
      if (id <= before || table.#byClient.has(client)) throw new RaftkitError('MALFORMED', `session ${id} stands twice`)
      before = id
      table.#sessions.set(id, session)
      table.#byClient.set(client, id)
    }
    return table
  }

  #leastRecentlyUsed(): Index {
    let oldest = 0
    let lastUse = Number.POSITIVE_INFINITY
    for (const [id, session] of this.#sessions) {
      if (session.lastUse < lastUse) {
        oldest = id
        lastUse = session.lastUse
      }
    }
    return oldest
  }

  #remove(id: Index): void {
    const session = this.#sessions.get(id)!
    this.#horizon = Math.max(this.#horizon, session.lastUse)
    this.#sessions.delete(id)
    this.#byClient.delete(session.client)
  }
}
