import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Loss, RecordedDisk, recorded } from '@raftkit/compliance'
import type { Random } from '../random.ts'

/** Microseconds; a disk that is slow in this way is met in the middle of a write more often. */
const flushTakes = 5_000

/**
 * The power of one member. Its processes run with their system calls recorded; after a cut, its directory is what these calls promise: bytes are
 * there once their file was flushed, names once their folder was, and of the rest whatever the draws say (decision 0015).
 */
export class Power {
  /** Where the member keeps its data; an absolute path without links, as the kernel says it. */
  readonly #directory: string
  readonly #trace: string
  readonly #draws: Random
  #disk: RecordedDisk

  /** `directory` is empty. `trace`: the file that calls are recorded in. */
  constructor(directory: string, trace: string, draws: Random) {
    this.#directory = directory
    this.#trace = trace
    this.#draws = draws
    this.#disk = new RecordedDisk(directory)
    mkdirSync(directory, { recursive: true })
  }

  /** What the process is started under. */
  readonly under = (): string[] => recorded(this.#trace, { flushTakes })

  /** The process has been killed: makes of its directory what a power cut at that moment may have left. */
  async cut(): Promise<Loss> {
    await this.#disk.replay(await readFile(this.#trace, 'latin1'))
    for (const name of readdirSync(this.#directory)) rmSync(join(this.#directory, name), { recursive: true })
    const loss = await this.#disk.cut(this.#directory, (n) => this.#draws.between(0, n - 1))
    this.#disk = new RecordedDisk(this.#directory)
    await this.#disk.load()
    return loss
  }
}
