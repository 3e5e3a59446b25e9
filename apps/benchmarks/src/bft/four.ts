import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { freePorts } from '@raftkit/app-kv'
import { generateKey } from '@raftkit/ed25519'
import { agreed, longest } from '../cluster/systems/embedded.ts'
import { ask, started } from '../cluster/systems/system.ts'
import { type Helper, startCase } from '../harness/case.ts'
import type { Sample } from '../harness/part.ts'
import type { MemberInput, MemberStatus, Request, Work } from './member.ts'

export const ids: readonly string[] = ['n1', 'n2', 'n3', 'n4']
const patienceMs = 30_000

export type Build = Pick<MemberInput, 'storage' | 'transport' | 'directory' | 'electionTimeout' | 'profile'>

/** Four members as processes of this machine, one of which may lie: f = 1. */
export class Four {
  readonly #inputs: readonly MemberInput[]
  readonly #helpers: (Helper | undefined)[] = []

  private constructor(inputs: readonly MemberInput[]) {
    this.#inputs = inputs
  }

  static async start(build: Build): Promise<Four> {
    const ports = await freePorts(ids.length)
    const members = Object.fromEntries(ids.map((id, at) => [id, `127.0.0.1:${ports[at]}`]))
    const secrets = ids.map(() => generateKey())
    const keys = Object.fromEntries(ids.map((id, at) => [id, Buffer.from(secrets[at]!.public).toString('hex')]))
    const inputs = ids.map((id, at) => {
      const directory = join(build.directory, id)
      return { ...build, id, members, keys, pem: secrets[at]!.pem, directory }
    })
    const four = new Four(inputs)
    try {
      await Promise.all(ids.map((_, at) => four.startMember(at)))
      // The first entry shows that they have found each other.
      await four.ask(0, { type: 'first-put' })
      return four
    } catch (error) {
      await four.stop()
      throw error
    }
  }

  async startMember(at: number): Promise<void> {
    const input = this.#inputs[at]!
    mkdirSync(input.directory, { recursive: true })
    const about = { part: 'bft', name: 'member', input, seconds: longest, warmUp: 0, quick: false }
    const helper = startCase({ ...about, parent: input.directory })
    this.#helpers[at] = helper
    await started(helper)
  }

  /** As a crash: by SIGKILL. Resolves once it is gone. */
  async killMember(at: number): Promise<void> {
    const helper = this.#member(at)
    this.#helpers[at] = undefined
    helper.kill()
    await helper.result.catch(() => {})
  }

  ask<T>(at: number, request: Request, edge?: (edge: 'begin' | 'end') => void): Promise<T> {
    return ask<T>(this.#member(at), request, edge)
  }

  /** Of those that run. */
  async leader(): Promise<number> {
    const until = performance.now() + patienceMs
    for (;;) {
      const all = await Promise.all(this.#running.map((at) => this.ask<MemberStatus>(at, { type: 'status' })))
      const name = all[0]?.leader
      const at = ids.indexOf(name ?? '')
      if (this.#helpers[at] && all.every(({ leader, term }) => leader === name && term === all[0]!.term)) return at
      if (performance.now() > until) throw new Error(`no leader in ${patienceMs / 1000} s: ${JSON.stringify(all)}`)
      await pause(20)
    }
  }

  /** One load on the leader, measured. `signs` and `verifies` are those of all members together. */
  async run(work: Work): Promise<Sample> {
    const leader = await this.leader()
    const others = this.#running.filter((at) => at !== leader)
    const watched = { members: this.#helpers.map((helper) => helper!.pid), directory: this.#inputs[0]!.directory }
    let edges: Promise<(Sample | null)[]> = Promise.resolve([])
    const tell = (edge: 'begin' | 'end') => {
      edges = edges.then(() => Promise.all(others.map((at) => this.ask<Sample | null>(at, { type: 'edge', edge }))))
    }
    const own = await this.ask<Sample>(leader, { type: 'run', work, watched }, tell)
    const all = [own, ...(await edges).filter((sample) => sample !== null)]
    const sum = (field: string) => all.reduce((so, sample) => so + (sample[field] ?? 0), 0)
    return { ...own, signs: sum('signs'), verifies: sum('verifies') }
  }

  /** What was acknowledged must come to all: the puts in the state of every member. */
  async puts(): Promise<number> {
    const { puts } = await agreed(async () => {
      const all = await Promise.all(this.#running.map((at) => this.ask<MemberStatus>(at, { type: 'status' })))
      return all.map(({ applied, puts }) => ({ applied, puts }))
    })
    return puts
  }

  async stop(): Promise<void> {
    const running = this.#running.map((at) => this.#helpers[at]!)
    await Promise.race([
      Promise.all(running.map((helper) => ask(helper, { type: 'close' } satisfies Request).catch(() => {}))),
      pause(5000),
    ])
    for (const at of this.#running) await this.killMember(at)
  }

  get #running(): number[] {
    return [...this.#helpers.keys()].filter((at) => this.#helpers[at] !== undefined)
  }

  #member(at: number): Helper {
    const helper = this.#helpers[at]
    if (!helper) throw new Error(`${ids[at]} does not run`)
    return helper
  }
}
