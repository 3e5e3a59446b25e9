import { type Batch, type Connection, FrameReader, type Pipe } from '@raftkit/links'
import { encodeFrames } from './frames.ts'
import type { Ear, Line } from './line.ts'

/** A line whose both ends have admitted each other, as a pipe. */
export class Conversation implements Pipe {
  readonly #line: Line
  readonly #aliveMs: number
  /** Whether we ask for signs of life, or answer. */
  readonly #asks: boolean
  #silent = 0
  #signing = false

  constructor(line: Line, { aliveMs, asks }: { aliveMs: number; asks: boolean }) {
    this.#line = line
    this.#aliveMs = aliveMs
    this.#asks = asks
  }

  /** From here on, frames are read. */
  begin(connection: Connection, maxFrameBytes: number): void {
    const reader = new FrameReader(maxFrameBytes, (frame) => connection.frame(frame))
    const timer = setInterval(() => this.#tick(), this.#aliveMs)
    const ear: Ear = {
      message: (bytes) => {
        this.#silent = 0
        if (bytes.length === 0) {
          if (!this.#asks) this.#giveSign()
        } else if (!reader.read(bytes)) connection.malformed('its bytes are no frames, or one is above the limit')
      },
      wrong: (reason) => connection.malformed(reason),
      closed: () => {
        clearInterval(timer)
        connection.ended()
      },
    }
    this.#line.ear = ear
  }

  #tick(): void {
    if (++this.#silent > silentTicks) this.#line.destroy()
    else if (this.#asks) this.#giveSign()
  }

  /** One at a time: they shall not gather for a side that asks and does not read. */
  #giveSign(): void {
    if (this.#signing) return
    this.#signing = true
    this.#line.say(alive, () => {
      this.#signing = false
    })
  }

  write({ frames, bytes }: Batch, sent: () => void): void {
    const messages = encodeFrames(frames, bytes)
    const last = messages.pop()!
    for (const message of messages) this.#line.say(message)
    this.#line.say(last, sent)
  }

  end(): void {
    this.#line.end()
  }

  destroy(): void {
    this.#line.destroy()
  }
}

/** How often the listener asks for a sign of life. */
export const aliveMs = 2000
/** Of silence, in ticks of our own clock rather than in time, so that a pause of this process is not held against the other side. */
const silentTicks = 3
const alive = new Uint8Array(0)
