import { decodeRequest, type Entry, type Request } from '@raftkit/bft'

/** What a client is told: where its operations begin, and what they gave. */
export interface Reply {
  readonly index: number
  readonly result: Uint8Array
}

export const nameOf = ({ client, session, seq }: Request): string => `${client.join()} ${session} ${seq}`

/** The machine of these runs: each result depends on all that was executed before, so that a wrong order shows in every reply. */
export class Application {
  state = 0x811c9dc5
  applied = 0
  readonly replies: Map<string, Reply> = new Map()

  apply({ header, items }: Entry): Request[] {
    const requests = header.kind === 'data' ? items.map(decodeRequest) : []
    let position = header.position
    for (const request of requests) {
      for (const operation of request.operations)
        for (const byte of operation) this.state = Math.imul(this.state ^ byte, 0x01000193)
      const result = new Uint8Array(4)
      new DataView(result.buffer).setInt32(0, this.state)
      this.replies.set(nameOf(request), { index: position + 1, result })
      position += request.operations.length
    }
    this.applied = header.index
    return requests
  }

  /** The same bytes for the same history. */
  write(): Uint8Array {
    const replies = [...this.replies].map(([name, { index, result }]) => [name, index, [...result]])
    return new TextEncoder().encode(JSON.stringify([this.state, this.applied, replies]))
  }

  static read(blob: Uint8Array): Application {
    const [state, applied, replies] = JSON.parse(new TextDecoder().decode(blob)) as [
      number,
      number,
      [string, number, number[]][],
    ]
    const application = new Application()
    application.state = state
    application.applied = applied
    for (const [name, index, result] of replies)
      application.replies.set(name, { index, result: new Uint8Array(result) })
    return application
  }
}
