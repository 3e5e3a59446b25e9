import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import type { CredentialFlags } from '../client/credentials.ts'

interface Journal {
  acknowledged: string[]
  unknown: string[]
  refused: number
}

interface Writer {
  readonly child: ChildProcess
  readonly ended: Promise<unknown[]>
  readonly journal: string
  acknowledged: number
}

export interface Load {
  readonly writers: number
  /** Requests in flight per writer. */
  readonly lanes: number
  /** They all share. */
  readonly keys: number
}

const program = fileURLToPath(new URL('./demo-writer.js', import.meta.url))

/** The client processes of the demo. */
export class Writers {
  readonly #writers: Writer[]

  constructor(
    directory: string,
    endpoints: readonly string[],
    { writers, lanes, keys }: Load,
    credentials: CredentialFlags,
  ) {
    this.#writers = Array.from({ length: writers }, (_, at) => {
      const journal = join(directory, `writer-${at}.json`)
      const [where, shown] = [endpoints.join(','), JSON.stringify(credentials)]
      const child = fork(program, [`w${at}`, journal, where, shown, String(lanes), String(keys)])
      const writer: Writer = { child, ended: once(child, 'exit'), journal, acknowledged: 0 }
      child.on('message', (report: { acknowledged: number }) => {
        writer.acknowledged = report.acknowledged
      })
      return writer
    })
  }

  /** As reported up to now. */
  get acknowledged(): number {
    return this.#writers.reduce((sum, { acknowledged }) => sum + acknowledged, 0)
  }

  /** What became of every item, once no request is in flight any more. */
  async finish(): Promise<Journal> {
    for (const { child } of this.#writers) if (child.connected) child.send('stop')
    const journals = await Promise.all(
      this.#writers.map(async ({ ended, journal }) => {
        const [code] = await ended
        if (code !== 0) throw new Error(`a writer ended with ${code}`)
        return JSON.parse(await readFile(journal, 'utf8')) as Journal
      }),
    )
    return {
      acknowledged: journals.flatMap(({ acknowledged }) => acknowledged),
      unknown: journals.flatMap(({ unknown }) => unknown),
      refused: journals.reduce((sum, { refused }) => sum + refused, 0),
    }
  }

  kill(): void {
    for (const { child } of this.#writers) if (child.exitCode === null) child.kill('SIGKILL')
  }
}
