import type { Socket } from 'node:net'
import type { Random } from '../random.ts'

/** What the way from one member to another is like now. Milliseconds. */
export interface Weather {
  /** Nothing gets through; what was sent waits, as packets that are sent again and again do. */
  readonly held?: boolean
  readonly delay?: number
  /** On top of the delay, at random. */
  readonly jitter?: number
  /** The share of chunks that are lost and sent again: they, and all behind them, come `resend` later. */
  readonly loss?: number
  readonly resend?: number
}

export const fair: Weather = {}

/** Above it, the sender is not read any more: it feels the congestion as it would that of a network. In bytes. */
const roomMax = 1024 * 1024

type Item = { readonly due: number } & ({ readonly chunk: Buffer } | { readonly end: 'end' | 'destroy' })

/** One direction of one connection. Bytes keep their order, and an end waits behind them: a network that is cut carries no resets either. */
export class Pipe {
  readonly #source: Socket
  readonly #sink: Socket
  readonly #weather: () => Weather
  readonly #random: Random
  readonly #queue: Item[] = []
  #waiting = 0
  #lastDue = 0
  #timer: NodeJS.Timeout | undefined
  #blocked = false

  constructor(source: Socket, sink: Socket, weather: () => Weather, random: Random) {
    this.#source = source
    this.#sink = sink
    this.#weather = weather
    this.#random = random
    source.on('data', (chunk: Buffer) => {
      this.#waiting += chunk.length
      this.#take({ due: this.#due(), chunk })
      if (this.#waiting >= roomMax) source.pause()
    })
    source.on('end', () => this.#take({ due: this.#due(), end: 'end' }))
    source.on('error', () => {})
    source.on('close', () => this.#take({ due: this.#due(), end: 'destroy' }))
    sink.on('drain', () => {
      this.#blocked = false
      this.flush()
    })
    sink.on('close', () => clearTimeout(this.#timer))
  }

  /** To be called when the weather has changed. */
  flush(): void {
    clearTimeout(this.#timer)
    const now = performance.now()
    while (this.#queue.length > 0 && !this.#blocked && !this.#sink.destroyed && !this.#weather().held) {
      const item = this.#queue[0]!
      if (item.due > now) {
        this.#timer = setTimeout(() => this.flush(), item.due - now)
        return
      }
      this.#queue.shift()
      if ('end' in item) {
        if (item.end === 'end') this.#sink.end()
        else this.#sink.destroy()
      } else {
        this.#waiting -= item.chunk.length
        this.#blocked = !this.#sink.write(item.chunk)
        if (this.#waiting < roomMax) this.#source.resume()
      }
    }
  }

  #take(item: Item): void {
    this.#queue.push(item)
    if (this.#queue.length === 1) this.flush()
  }

  #due(): number {
    const { delay = 0, jitter = 0, loss = 0, resend = 200 } = this.#weather()
    if (delay + jitter + loss === 0 && this.#queue.length === 0) return 0
    const lost = loss > 0 && this.#random.chance(loss) ? resend : 0
    this.#lastDue = Math.max(this.#lastDue, performance.now() + delay + this.#random.next() * jitter + lost)
    return this.#lastDue
  }
}
