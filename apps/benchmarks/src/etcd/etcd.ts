import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { freePorts } from '@raftkit/app-kv'
import { agreed, ids } from '../cluster/systems/embedded.ts'
import { Generating } from '../cluster/systems/generating.ts'
import type { Build, Standing, System, Work } from '../cluster/systems/system.ts'
import { isInstalled } from '../harness/machine.ts'
import type { Sample } from '../harness/part.ts'

interface Status {
  readonly header: { readonly member_id: string; readonly revision: string; readonly raft_term: string }
  readonly leader: string
  readonly raftAppliedIndex: string
}

interface Running {
  readonly child: ChildProcess
  readonly port: number
  readonly directory: string
}

const patienceMs = 30_000

/** Three members of etcd on the same disk, with heartbeats, elections and snapshots as ours, under load over gRPC. */
export class Etcd implements System {
  readonly #children: readonly Running[]
  readonly #directory: string
  readonly #generating: Generating

  private constructor(children: readonly Running[], directory: string, generating: Generating) {
    this.#children = children
    this.#directory = directory
    this.#generating = generating
  }

  static async start(build: Build): Promise<Etcd> {
    const ports = await freePorts(ids.length * 2)
    const peers = ids.map((_, at) => `http://127.0.0.1:${ports[at]}`)
    mkdirSync(build.directory, { recursive: true })
    const children = ids.map((id, at) => {
      const port = ports[ids.length + at]!
      const client = `http://127.0.0.1:${port}`
      const directory = join(build.directory, id)
      const flags = {
        name: id,
        'data-dir': directory,
        'listen-peer-urls': peers[at]!,
        'initial-advertise-peer-urls': peers[at]!,
        'listen-client-urls': client,
        'advertise-client-urls': client,
        'initial-cluster': ids.map((id, at) => `${id}=${peers[at]}`).join(','),
        'initial-cluster-token': 'bench',
        'initial-cluster-state': 'new',
        'heartbeat-interval': '100',
        'election-timeout': '1000',
        'snapshot-count': String(build.snapshotEntries),
        'log-level': 'warn',
        logger: 'zap',
      }
      const log = openSync(`${directory}.log`, 'a')
      const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value])
      const [program, before] = isInstalled('setpriv') ? ['setpriv', ['--pdeathsig', 'KILL', 'etcd']] : ['etcd', []]
      const child = spawn(program, [...before, ...args], {
        stdio: ['ignore', log, log],
        env: { ...process.env, ETCD_UNSUPPORTED_ARCH: process.arch },
      })
      closeSync(log)
      const end = () => child.kill('SIGKILL')
      // Before the directories go.
      process.prependListener('exit', end)
      child.once('close', () => process.off('exit', end))
      child.on('error', () => {})
      return { child, port, directory }
    })
    const etcd = new Etcd(children, build.directory, await Generating.start('grpc', build.directory))
    try {
      await etcd.port()
    } catch (error) {
      await etcd.stop()
      throw new Error(
        `etcd: ${(error as Error).message}\n${readFileSync(`${children[0]!.directory}.log`, 'utf8').slice(-500)}`,
      )
    }
    return etcd
  }

  get members(): System['members'] {
    return this.#children.map(({ child, directory }) => ({ pid: child.pid ?? 0, directory }))
  }

  async fill(count: number): Promise<void> {
    await this.#generating.fill(await this.port(), count)
  }

  async run(work: Work): Promise<Sample> {
    const watched = { members: this.members.map(({ pid }) => pid), directory: this.#directory }
    return this.#generating.run(await this.port(), work, watched)
  }

  /** Each put raises the revision by one. */
  async standing(): Promise<Standing> {
    const { revision, raft_term } = await agreed(async () =>
      (await this.#statuses()).map(({ header: { revision, raft_term } }) => ({ revision, raft_term })),
    )
    return { term: Number(raft_term), puts: Number(revision) }
  }

  async stop(): Promise<void> {
    this.#generating.stop()
    await Promise.all(
      this.#children.map(async ({ child }) => {
        if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
        child.kill('SIGKILL')
        await once(child, 'close')
      }),
    )
  }

  async port(): Promise<number> {
    const until = performance.now() + patienceMs
    for (;;) {
      const gone = this.#children.find(({ child }) => child.exitCode !== null || child.pid === undefined)
      if (gone) throw new Error(`a member ended with ${gone.child.exitCode ?? 'no process'}`)
      const statuses = await this.#statuses().catch(() => [])
      const leader = statuses[0]?.leader
      const at = statuses.findIndex(({ header }) => header.member_id === leader)
      if (at >= 0 && statuses.every((status) => status.leader === leader)) return this.#children[at]!.port
      if (performance.now() > until) throw new Error(`no leader in ${patienceMs / 1000} s`)
      await pause(50)
    }
  }

  #statuses(): Promise<Status[]> {
    return Promise.all(
      this.#children.map(async ({ port }) => {
        const url = `http://127.0.0.1:${port}/v3/maintenance/status`
        const answer = await fetch(url, { method: 'POST', body: '{}', signal: AbortSignal.timeout(5000) })
        return (await answer.json()) as Status
      }),
    )
  }
}
