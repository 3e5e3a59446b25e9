import { createWriteStream, type WriteStream } from 'node:fs'
import { formatLine, type KeyValueOperation } from '@raftkit/linearizability'

/** Every operation of all clients, in memory for the verdict and in a file for who wants to look. */
export class History {
  readonly operations: KeyValueOperation[] = []
  readonly file: string
  readonly #out: WriteStream
  acknowledged = 0
  refused = 0
  unknown = 0

  constructor(file: string) {
    this.file = file
    this.#out = createWriteStream(file)
  }

  add(operation: KeyValueOperation): void {
    this.operations.push(operation)
    this.#out.write(`${formatLine(operation)}\n`)
    if (operation.ok === true) this.acknowledged++
    else if (operation.ok === false) this.refused++
    else this.unknown++
  }

  close(): Promise<void> {
    return new Promise((closed) => this.#out.end(closed))
  }
}
