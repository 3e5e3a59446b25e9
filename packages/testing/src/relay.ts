import { connect, createServer, type Socket } from 'node:net'

/** A way between a dialler and a listener that can go deaf while both sides believe in it. */
export class Relay {
  /** Of each connection: the dialler's side and the listener's. */
  readonly pairs: (readonly [Socket, Socket])[] = []
  readonly #server = createServer((near) => this.#accept(near))
  readonly #target: string
  #blocked = false

  constructor(target: string) {
    this.#target = target
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `127.0.0.1:${(this.#server.address() as { port: number }).port}`
  }

  #accept(near: Socket): void {
    const [host, port] = this.#target.split(':')
    const far = connect(Number(port), host)
    this.pairs.push([near, far])
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (data) => {
        if (!to.write(data)) from.pause()
      })
      to.on('drain', () => this.#blocked || from.resume())
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
      if (this.#blocked) from.pause()
    }
  }

  /** Reads nothing more, in either direction: the sockets fill up. */
  block(): void {
    this.#blocked = true
    for (const socket of this.pairs.flat()) socket.pause()
  }

  unblock(): void {
    this.#blocked = false
    for (const socket of this.pairs.flat()) socket.resume()
  }

  close(): void {
    for (const socket of this.pairs.flat()) socket.destroy()
    this.#server.close()
  }
}
