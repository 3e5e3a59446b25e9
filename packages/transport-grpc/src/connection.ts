import type { Writable } from 'node:stream'
import type { Lane } from '@raftkit/contract'
import type { Caller } from './handshake.ts'
import { readFrames } from './wire.ts'

type Outgoing = Pick<Writable, 'write' | 'end' | 'writableEnded'>

/** How an admitted stream is used by its lane. */
export interface Listening {
  frame(frame: Uint8Array): void
  malformed(): void
  /** Called once, however it ended. */
  over(): void
}

/** One stream of one lane between two nodes that have admitted each other, with a TCP connection of its own. */
export class Connection {
  readonly caller: Caller
  readonly lane: Lane
  /** Whether we dialled. */
  readonly dialled: boolean
  readonly remote: string
  readonly #stream: Outgoing
  readonly #destroy: () => void
  #listening: Listening | undefined
  #over = false

  constructor(
    of: { caller: Caller; lane: Lane; dialled: boolean; remote: string },
    stream: Outgoing,
    destroy: () => void,
  ) {
    this.caller = of.caller
    this.lane = of.lane
    this.dialled = of.dialled
    this.remote = of.remote
    this.#stream = stream
    this.#destroy = destroy
  }

  /** From here on, what arrives is handed over. */
  listen(listening: Listening): void {
    this.#listening = listening
    if (this.#over) listening.over()
  }

  receive(message: Uint8Array, maxFrameBytes: number): void {
    let fits = true
    const whole = readFrames(message, (frame) => {
      if (frame.length > maxFrameBytes) fits = false
      else if (!this.#over) this.#listening?.frame(frame)
    })
    if (whole && fits) return
    this.#listening?.malformed()
    this.destroy()
  }

  /** `sent`: the stream has room for more. Not called if it ends before. */
  write(message: Buffer, sent: () => void): void {
    if (!this.#over && !this.#stream.writableEnded)
      this.#stream.write(message, (error) => {
        if (!error && !this.#over) sent()
      })
  }

  /** What was written still goes out; what arrives until the other side has ended as well is still handed over. */
  end(): void {
    if (!this.#over && !this.#stream.writableEnded) this.#stream.end()
  }

  destroy(): void {
    if (this.#over) return
    this.#destroy()
    this.ended()
  }

  ended(): void {
    if (this.#over) return
    this.#over = true
    this.#listening?.over()
  }
}
