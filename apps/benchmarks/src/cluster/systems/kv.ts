import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { exchange, freePorts, hangUp, MemberProcess, type MemberView } from '@raftkit/app-kv'
import type { Sample } from '../../harness/part.ts'
import { agreed, ids, worstDelay } from './embedded.ts'
import { Generating } from './generating.ts'
import type { Build, Standing, System, Work } from './system.ts'

const probe = fileURLToPath(new URL('./kv-probe.js', import.meta.url))

/** What a member with the probe is told over IPC, and where it writes its answer. */
export interface ProbeOrder {
  readonly edge: 'begin' | 'end'
  readonly answer: string
  readonly profile?: string
}

const patienceMs = 30_000

/** The server that is shipped, as it is shipped, under load over HTTP/1.1. */
export class Kv implements System {
  readonly #processes: readonly MemberProcess[]
  readonly #build: Build
  readonly #generating: Generating

  private constructor(processes: readonly MemberProcess[], build: Build, generating: Generating) {
    this.#processes = processes
    this.#build = build
    this.#generating = generating
  }

  static async start(build: Build): Promise<Kv> {
    const ports = await freePorts(ids.length * 2)
    const founders = Object.fromEntries(ids.map((id, at) => [id, `127.0.0.1:${ports[at]}`]))
    const flags = [
      ...['--storage', build.storage, '--transport', build.transport],
      ...['--snapshot-entries', String(build.snapshotEntries), '--lease-drift', '0.05', '--config', probe],
    ]
    const processes = ids.map((id, at) => {
      const directory = join(build.directory, id)
      mkdirSync(join(directory, 'store'), { recursive: true })
      return new MemberProcess({
        id,
        address: founders[id]!,
        httpPort: ports[ids.length + at]!,
        directory,
        founders,
        flags,
      })
    })
    const end = () => {
      for (const one of processes) void one.kill()
    }
    // Before the directories go.
    process.prependListener('exit', end)
    const system = new Kv(processes, build, await Generating.start('http', build.directory))
    try {
      await Promise.all(processes.map((one) => one.start()))
      await system.#leader()
    } catch (error) {
      const words = processes.map(({ log }) => (existsSync(log) ? readFileSync(log, 'utf8').slice(-300) : '')).join('')
      await system.stop()
      throw new Error(`kv: ${(error as Error).message}\n${words}`)
    } finally {
      void Promise.all(processes.map(({ ended }) => ended)).then(() => process.off('exit', end))
    }
    return system
  }

  get members(): System['members'] {
    return this.#processes.map(({ pid = 0, store }) => ({ pid, directory: store }))
  }

  async fill(count: number): Promise<void> {
    await this.#generating.fill(await this.port(), count)
  }

  async run(work: Work): Promise<Sample> {
    const leader = await this.#leader()
    const watched = { members: this.members.map(({ pid }) => pid), directory: this.#build.directory }
    const answers = this.#processes.map(({ plan }) => join(plan.directory, 'probe.json'))
    for (const answer of answers) rmSync(answer, { force: true })
    const sample = await this.#generating.run(leader.plan.httpPort, work, watched, (edge) => {
      for (const [at, one] of this.#processes.entries()) {
        const { profile } = this.#build
        one.send({ edge, answer: answers[at]!, ...(profile !== undefined && { profile }) } satisfies ProbeOrder)
      }
    })
    const until = performance.now() + patienceMs
    while (!answers.every(existsSync)) {
      if (performance.now() > until) throw new Error('a member of kv does not answer the probe')
      await pause(20)
    }
    return worstDelay(
      sample,
      answers.map((answer) => JSON.parse(readFileSync(answer, 'utf8')) as Sample),
    )
  }

  /** kv counts its puts nowhere: they are entries of its log, as its sessions are, of which there is one for each member. */
  async standing(): Promise<Standing> {
    const { term, machineApplied } = await agreed(async () =>
      (await this.#views()).map(({ term, machineApplied }) => ({ term, machineApplied })),
    )
    return { term, puts: machineApplied }
  }

  async port(): Promise<number> {
    return (await this.#leader()).plan.httpPort
  }

  async stop(): Promise<void> {
    this.#generating.stop()
    await Promise.all(this.#processes.map((one) => one.kill()))
    hangUp()
  }

  async #views(): Promise<MemberView[]> {
    const answers = this.#processes.map(({ endpoint }) =>
      exchange(endpoint, { method: 'GET', path: '/v1/status' }, 5000),
    )
    return (await Promise.all(answers)).map(({ body }) => body as MemberView)
  }

  async #leader(): Promise<MemberProcess> {
    const until = performance.now() + patienceMs
    for (;;) {
      const views = await this.#views()
      const leader = views.findIndex(({ role }) => role === 'leader')
      if (leader >= 0 && views.every((view) => view.leader === ids[leader])) return this.#processes[leader]!
      if (performance.now() > until) throw new Error('no leader')
      await pause(20)
    }
  }
}
