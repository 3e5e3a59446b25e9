import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Random } from '../random.ts'
import { fair, Pipe, type Weather } from './pipe.ts'

/** A way: who sends, who is sent to. */
export type Way = readonly [from: string, to: string]

const nameOf = (from: string, to: string): string => `${from}>${to}`

interface Wire {
  readonly sockets: readonly [Socket, Socket]
  readonly pipes: ReadonlyMap<string, Pipe>
}

/**
 * The network between members: each dials each other one through a TCP proxy of that pair, in this process. A connection carries both
 * directions, and each has the weather of its way, whoever dialled.
 */
export class Network {
  readonly #random: Random
  readonly #addresses: ReadonlyMap<string, string>
  readonly #servers: Server[] = []
  readonly #routes = new Map<string, Record<string, string>>()
  readonly #wires = new Set<Wire>()
  readonly #weather = new Map<string, Weather>()
  /** Of the ways whose connections are refused. */
  readonly #cut = new Set<string>()

  /** `addresses`: where each member listens, `host:port`. */
  constructor(addresses: ReadonlyMap<string, string>, random: Random) {
    this.#addresses = addresses
    this.#random = random
  }

  async open(): Promise<void> {
    for (const from of this.#addresses.keys()) {
      const routes: Record<string, string> = {}
      for (const [to, address] of this.#addresses) {
        if (to === from) continue
        const server = createServer({ allowHalfOpen: true }, (socket) => this.#connect(from, to, address, socket))
        this.#servers.push(server)
        await once(server.listen(0, '127.0.0.1'), 'listening')
        routes[to] = `127.0.0.1:${(server.address() as AddressInfo).port}`
      }
      this.#routes.set(from, routes)
    }
  }

  /** Where this member is to dial the others. */
  routes(from: string): Readonly<Record<string, string>> {
    return this.#routes.get(from) ?? {}
  }

  get members(): string[] {
    return [...this.#addresses.keys()]
  }

  /** From now on, what travels these ways has this weather; `undefined` clears it. */
  change(ways: readonly Way[], weather: Weather | undefined): void {
    const names = new Set(ways.map(([from, to]) => nameOf(from, to)))
    for (const name of names) {
      if (weather === undefined) this.#weather.delete(name)
      else this.#weather.set(name, weather)
    }
    for (const { pipes } of this.#wires) for (const [name, pipe] of pipes) if (names.has(name)) pipe.flush()
  }

  /** Connections of these pairs end at once, and none comes about until `mend`. */
  cut(ways: readonly Way[]): void {
    for (const [from, to] of ways) for (const name of [nameOf(from, to), nameOf(to, from)]) this.#cut.add(name)
    this.reset(ways)
  }

  mend(ways: readonly Way[]): void {
    for (const [from, to] of ways) for (const name of [nameOf(from, to), nameOf(to, from)]) this.#cut.delete(name)
  }

  /** Ends the connections of these pairs; they may dial again. Returns how many there were. */
  reset(ways: readonly Way[]): number {
    const names = new Set(ways.flatMap(([from, to]) => [nameOf(from, to), nameOf(to, from)]))
    let count = 0
    for (const { sockets, pipes } of [...this.#wires]) {
      if (![...pipes.keys()].some((name) => names.has(name))) continue
      count++
      for (const socket of sockets) socket.destroy()
    }
    return count
  }

  async close(): Promise<void> {
    for (const { sockets } of this.#wires) for (const socket of sockets) socket.destroy()
    await Promise.all(this.#servers.map((server) => new Promise((closed) => server.close(closed))))
  }

  #connect(from: string, to: string, address: string, dialled: Socket): void {
    dialled.on('error', () => {})
    if (this.#cut.has(nameOf(from, to))) {
      dialled.destroy()
      return
    }
    const port = Number(address.slice(address.lastIndexOf(':') + 1))
    const target = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    for (const socket of [dialled, target]) socket.setNoDelay(true)
    const pipe = (way: string, source: Socket, sink: Socket) =>
      [way, new Pipe(source, sink, () => this.#weather.get(way) ?? fair, this.#random.split(way))] as const
    const pipes = new Map([pipe(nameOf(from, to), dialled, target), pipe(nameOf(to, from), target, dialled)])
    const wire: Wire = { sockets: [dialled, target], pipes }
    this.#wires.add(wire)
    let open = 2
    for (const socket of wire.sockets) socket.on('close', () => --open === 0 && this.#wires.delete(wire))
  }
}
