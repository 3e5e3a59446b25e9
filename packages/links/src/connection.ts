import type { Lane } from '@raftkit/contract'
import type { Caller } from './handshake.ts'
import type { Batch } from './outbox.ts'

/** What an adapter makes a connection of: a stream, a socket. */
export interface Pipe {
  /** The frames of one turn. `sent`: there is room for more. Not called if the pipe ends before. */
  write(batch: Batch, sent: () => void): void
  /** What was written still goes out, and what arrives is still handed over. */
  end(): void
  /** At once. Called at most once, and not after the connection has `ended`. */
  destroy(): void
}

/** How an admitted connection is used by its lane. */
export interface Listening {
  /** False: it cannot be read. */
  frame(frame: Uint8Array): unknown
  malformed(reason: string): void
  /** Called once, however it ended. */
  over(): void
}

/** One connection of one lane between two nodes that have admitted each other. */
export class Connection {
  readonly caller: Caller
  readonly lane: Lane
  /** Whether we dialled. */
  readonly dialled: boolean
  readonly remote: string
  readonly #pipe: Pipe
  #listening: Listening | undefined
  #over = false
  #ending = false

  constructor(of: { caller: Caller; lane: Lane; dialled: boolean; remote: string }, pipe: Pipe) {
    this.caller = of.caller
    this.lane = of.lane
    this.dialled = of.dialled
    this.remote = of.remote
    this.#pipe = pipe
  }

  /** From here on, what arrives is handed over. */
  listen(listening: Listening): void {
    this.#listening = listening
    if (this.#over) listening.over()
  }

  /** The adapter's: a whole frame has arrived, no larger than the limit. */
  frame(frame: Uint8Array): void {
    if (!this.#over && this.#listening?.frame(frame) === false) this.malformed('a frame that this node cannot read')
  }

  /** The adapter's: what arrived is no frame. */
  malformed(reason: string): void {
    if (this.#over) return
    this.#listening?.malformed(reason)
    this.destroy()
  }

  /** The adapter's: nothing more will arrive. */
  ended(): void {
    if (this.#over) return
    this.#over = true
    this.#listening?.over()
  }

  write(batch: Batch, sent: () => void): void {
    if (!this.#over && !this.#ending) this.#pipe.write(batch, sent)
  }

  end(): void {
    if (this.#over || this.#ending) return
    this.#ending = true
    this.#pipe.end()
  }

  destroy(): void {
    if (this.#over) return
    this.#pipe.destroy()
    this.ended()
  }
}
