import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Dialer, MemberProcess } from '@raftkit/app-kv'
import type { Member } from '../genesis.ts'
import { clerkFolder, genesisFile, memberFolder } from '../organisations.ts'

/** The command, as it is built. */
export const program = fileURLToPath(new URL('./raftkit-ledger.js', import.meta.url))

/** Milliseconds. A machine with two cores runs four members here. */
const electionTimeout = 1_000

/** The member of one organisation, as processes one behind the other on the same data: each may lie in another way. */
export class Organisation {
  readonly id: string
  readonly member: Member
  readonly #directory: string
  #process: MemberProcess

  constructor(directory: string, member: Member) {
    this.id = member.id
    this.#directory = directory
    this.member = member
    this.#process = this.#planned()
  }

  /** `lie`: the numbers of faults, as `serve --lie` takes them. Resolves once it answers. */
  async start(lie?: string): Promise<void> {
    this.#process = this.#planned(lie)
    await this.#process.start()
  }

  async kill(): Promise<void> {
    await this.#process.kill()
  }

  async stop(): Promise<void> {
    await this.#process.stop()
  }

  /** Settles when it ended by itself. */
  async ended(): Promise<void> {
    await this.#process.ended
  }

  get log(): string {
    return this.#process.log
  }

  #planned(lie?: string): MemberProcess {
    const { id, address, url } = this.member
    const read = (name: string) => readFileSync(join(clerkFolder(this.#directory, id), name), 'utf8')
    return new MemberProcess({
      id,
      address,
      httpPort: Number(new URL(url).port),
      directory: join(this.#directory, id),
      program,
      dialer: new Dialer({ ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem') }),
      flags: [
        ...['--genesis', genesisFile(this.#directory), '--identity', memberFolder(this.#directory, id)],
        ...['--election-timeout', String(electionTimeout), ...(lie === undefined ? [] : ['--lie', lie])],
      ],
    })
  }
}
