import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { freePorts } from '@raftkit/app-kv'
import { run } from '../src/command/command-line.ts'
import { type Genesis, trustOf } from '../src/genesis.ts'
import { addOrganisation, clerkFolder, genesisFile, makeOrganisations, memberFolder } from '../src/organisations.ts'
import { type Served, serve } from '../src/server/serve.ts'

export interface Ran {
  readonly code: number
  /** Lines of JSON. */
  readonly lines: readonly Record<string, unknown>[]
  readonly said: string
}

/** Four members of one process, over gRPC with mutual TLS and HTTPS, as four organisations would run them; and the command. */
export class FourMembers {
  readonly directory: string
  readonly genesis: Genesis
  readonly log: string[] = []
  readonly #served: Map<string, Served> = new Map()

  private constructor(directory: string, genesis: Genesis) {
    this.directory = directory
    this.genesis = genesis
  }

  /** Not started yet. East leads the first term. */
  static async plan(): Promise<FourMembers> {
    const directory = mkdtempSync(join(tmpdir(), 'raftkit-ledger-'))
    const ports = await freePorts(8)
    const sites = ['east', 'north', 'south', 'west'].map((id, at) => ({
      ...{ id, host: '127.0.0.1', port: ports[at]!, httpPort: ports[at + 4]! },
    }))
    return new FourMembers(directory, await makeOrganisations(directory, 'test', sites))
  }

  async start(id: string, lie?: string): Promise<void> {
    const { genesis, directory } = this
    const trust = trustOf(genesis)
    const options = { genesis, trust, id, identity: memberFolder(directory, id), data: this.dataOf(id), lie }
    const say = (line: string) => void this.log.push(`${id}: ${line}`)
    this.#served.set(id, await serve({ ...options, electionTimeout: 500 }, say))
  }

  dataOf(id: string): string {
    return join(this.directory, id, 'data')
  }

  /** Keys of an organisation that comes later. */
  async prepare(id: string): Promise<void> {
    const [port, httpPort] = (await freePorts(2)) as [number, number]
    await addOrganisation(this.directory, { id, host: '127.0.0.1', port, httpPort })
  }

  /** Settles when that one ends by itself. */
  async ended(id: string): Promise<void> {
    await this.#served.get(id)?.ended
    this.#served.delete(id)
  }

  async stop(id: string): Promise<void> {
    await this.#served.get(id)?.stop()
    this.#served.delete(id)
  }

  /** One command line, as the clerk of that organisation. */
  async command(clerk: string, ...args: string[]): Promise<Ran> {
    const written = { stdout: '', stderr: '' }
    const into = (name: 'stdout' | 'stderr') =>
      new Writable({
        write: (chunk, _encoding, done) => {
          written[name] += chunk
          done()
        },
      })
    const code = await run(
      ['--genesis', genesisFile(this.directory), '--identity', clerkFolder(this.directory, clerk), '--json', ...args],
      {
        stdin: Readable.from(['from\n', 'standard input\n']),
        stdout: into('stdout'),
        stderr: into('stderr'),
        env: {},
        interrupted: new AbortController().signal,
      },
    )
    const lines = written.stdout.split('\n').filter((line) => line.startsWith('{'))
    return { code, lines: lines.map((line) => JSON.parse(line) as Record<string, unknown>), said: written.stderr }
  }

  async end(): Promise<void> {
    await Promise.all([...this.#served.keys()].map((id) => this.stop(id)))
    rmSync(this.directory, { recursive: true, force: true })
  }
}
