import type { Command, Index, StateMachine } from '@raftkit/contract'

/** Answers with a hash of all that it applied: members that differ anywhere answer differently from there on. */
export class Chronicle implements StateMachine {
  readonly version = 1
  readonly #reached: (index: Index, state: number, command?: Command) => void
  #state = 0x811c9dc5
  #height = 0

  constructor(reached: (index: Index, state: number, command?: Command) => void) {
    this.#reached = reached
  }

  apply(batch: readonly Command[]): readonly Uint8Array[] {
    return batch.map((command) => {
      for (const byte of command.data) this.#state = Math.imul(this.#state ^ byte, 0x01000193)
      this.#height = command.index
      this.#reached(command.index, this.#state, command)
      return this.#written().subarray(0, 4)
    })
  }

  query(): number {
    return this.#state
  }

  /** A generator would write down only when it is read from, and with it what is applied until then. */
  snapshot(): AsyncIterable<Uint8Array> {
    const written = this.#written()
    return (async function* () {
      yield written
    })()
  }

  async restore(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const bytes = new Uint8Array(12)
    let length = 0
    for await (const chunk of chunks) {
      bytes.set(chunk, length)
      length += chunk.length
    }
    const view = new DataView(bytes.buffer)
    this.#state = view.getInt32(0)
    this.#height = view.getFloat64(4)
    this.#reached(this.#height, this.#state)
  }

  #written(): Uint8Array {
    const bytes = new Uint8Array(12)
    const view = new DataView(bytes.buffer)
    view.setInt32(0, this.#state)
    view.setFloat64(4, this.#height)
    return bytes
  }
}
