import type { ProtocolEvent } from '@raftkit/contract'
import type { Fault, Operation, Watcher } from '../watcher.ts'
import type { Packet } from '../world/packet.ts'
import type { Server } from '../world/server.ts'

/** A hash of all that happened, in order: two runs of one seed must have the same, on whatever machine. */
export class Fingerprint implements Watcher {
  #a = 0x811c9dc5
  #b = 0x9e3779b9

  constructor(seed: number) {
    this.#text(String(seed))
  }

  digest(): string {
    return [this.#a, this.#b].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('')
  }

  stepped({ id, protocol }: Server, { type }: ProtocolEvent, now: number): void {
    this.#text(id)
    this.#text(type)
    this.#number(now)
    if (!protocol) return
    this.#number(protocol.state.term)
    this.#number(protocol.commit)
    this.#number(protocol.log.last)
  }

  arrived({ id, bytes }: Packet): void {
    this.#number(id)
    for (let at = 0; at < bytes.length; at += 7) this.#mix(bytes[at]!)
    this.#number(bytes.length)
  }

  crashed({ id }: Server, how: string): void {
    this.#text(id)
    this.#text(how)
  }

  fault({ kind }: Fault): void {
    this.#text(kind)
  }

  operation({ id, outcome }: Operation): void {
    this.#number(id)
    this.#text(outcome ?? 'begun')
  }

  #text(text: string): void {
    for (let i = 0; i < text.length; i++) this.#mix(text.charCodeAt(i))
  }

  /** To a thousandth: what is behind is a fraction of a clock that drifts. */
  #number(value: number): void {
    const whole = Math.floor(value * 1000)
    this.#mix(whole | 0)
    this.#mix(Math.floor(whole / 0x1_0000_0000))
  }

  #mix(value: number): void {
    this.#a = Math.imul(this.#a ^ value, 0x01000193)
    this.#b = Math.imul((this.#b << 13) | (this.#b >>> 19), 0x85ebca6b) ^ value
  }
}
