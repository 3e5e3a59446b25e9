import type { Socket } from 'node:net'
import { type Connection, FrameReader, type Pipe } from '@raftkit/links'
import { alive, aliveWord, copiedBytes, encodeFrames } from './frames.ts'

/** A side that has nothing to say gives a sign of life that often. */
const aliveMs = 2000
/** Of silence, in ticks of our own clock rather than in time, so that a pause of this process is not held against the other side. */
const silentTicks = 3
/** How long a connection may outlive the farewell of the other side. */
const farewellMs = 1000
/** Of memory that is kept from one write to the next, at most: what a batch of small frames takes. */
const spareBytes = 256 * 1024
const nothing = Buffer.alloc(0)

/** A socket whose both ends have admitted each other, as a pipe. */
export class Conversation implements Pipe {
  readonly #socket: Socket
  #spoken = false
  #silent = 0
  /** Memory that was written from and is free again, as it nearly always is by the next write: fresh memory is dear. */
  #spare: Buffer = nothing

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** From here on, frames are read. `rest`: what came behind the greeting. */
  begin(connection: Connection, rest: Buffer, maxFrameBytes: number): void {
    const socket = this.#socket
    const reader = new FrameReader(maxFrameBytes, (frame) => connection.frame(frame), aliveWord)
    const hear = (chunk: Buffer) => {
      this.#silent = 0
      if (!reader.read(chunk)) connection.malformed('its bytes are no frames, or one is above the limit')
    }
    const timer = setInterval(() => this.#tick(), aliveMs).unref()
    socket.on('data', hear)
    // It says nothing more. What it has not heard yet still goes out, if it goes soon; the socket then closes by itself.
    socket.on('end', () => {
      setTimeout(() => socket.destroy(), farewellMs).unref()
    })
    socket.on('close', () => {
      clearInterval(timer)
      connection.ended()
    })
    if (rest.length > 0) hear(rest)
  }

  #tick(): void {
    if (++this.#silent > silentTicks) this.#socket.destroy()
    else if (!this.#spoken && this.#socket.writable && this.#socket.writableLength === 0) this.#socket.write(alive)
    this.#spoken = false
  }

  write({ frames, bytes }: { frames: readonly (readonly Uint8Array[])[]; bytes: number }, sent: () => void): void {
    const socket = this.#socket
    if (!socket.writable) return
    this.#spoken = true
    const copied = copiedBytes(frames, bytes)
    const copies = copied <= this.#spare.length ? this.#spare : Buffer.allocUnsafeSlow(copied)
    this.#spare = nothing
    const done = (error?: Error | null) => {
      if (copied <= spareBytes && copies.length > this.#spare.length) this.#spare = copies
      if (!error) sent()
    }
    const chunks = encodeFrames(frames, copies)
    const last = chunks.length - 1
    if (last > 0) socket.cork()
    for (let n = 0; n < last; n++) socket.write(chunks[n]!)
    socket.write(chunks[last]!, done)
    if (last > 0) socket.uncork()
  }

  end(): void {
    this.#socket.end()
  }

  destroy(): void {
    this.#socket.destroy()
  }
}
