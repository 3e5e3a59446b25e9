import { toHex } from '@raftkit/bytes'
import type { Entry } from './entry.ts'
import { decodeRequest, type Request } from './request.ts'

/** How far behind the highest number of a session another may come: requests overtake each other. */
const window = 256

/** Which numbers of a client's session were executed. Part of the replicated state: the same on every member at the same entry. */
export class Used {
  readonly #sessions: Map<string, readonly number[]>

  constructor(sessions: ReadonlyMap<string, readonly number[]> = new Map()) {
    this.#sessions = new Map(sessions)
  }

  fork(): Used {
    return new Used(this.#sessions)
  }

  /** Whether the request may run: none of its numbers was used, and none is too old to tell. */
  isFresh({ client, session, seq, operations }: Request): boolean {
    const used = this.#sessions.get(name(client, session))
    if (!used) return true
    const highest = used.at(-1)!
    return seq > highest - window && !used.some((number) => number >= seq && number < seq + operations.length)
  }

  use({ client, session, seq, operations }: Request): void {
    const key = name(client, session)
    const used = [...(this.#sessions.get(key) ?? []), ...operations.map((_, at) => seq + at)].sort((a, b) => a - b)
    const highest = used.at(-1)!
    this.#sessions.set(
      key,
      used.filter((number) => number > highest - window),
    )
  }

  useAll(entry: Entry): void {
    if (entry.header.kind === 'data') for (const item of entry.items) this.use(decodeRequest(item))
  }
}

const name = (client: Uint8Array, session: number): string => `${toHex(client)} ${session}`
