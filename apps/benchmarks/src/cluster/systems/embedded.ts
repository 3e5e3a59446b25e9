import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { freePorts } from '@raftkit/app-kv'
import { type Helper, startCase } from '../../harness/case.ts'
import type { Sample } from '../../harness/part.ts'
import type { Kind, MemberInput, MemberStatus, Request } from './member.ts'
import { ask, type Build, type Standing, type System, started, type Work } from './system.ts'

/** What a child process of the command's own may take at most, in seconds: `startCase` ends it after ten times this. */
export const longest = 3600

export const ids = ['n1', 'n2', 'n3']
const patienceMs = 30_000

/** Members of the same program as the load on them: `node.propose` or `node.commands` in the leader's process. */
export class Embedded implements System {
  readonly #inputs: readonly MemberInput[]
  readonly #helpers: (Helper | undefined)[] = []

  private constructor(inputs: readonly MemberInput[]) {
    this.#inputs = inputs
  }

  static async start(kind: Kind, build: Build, options: Pick<MemberInput, 'count'> = {}): Promise<Embedded> {
    const ports = await freePorts(ids.length)
    const members = Object.fromEntries(ids.map((id, at) => [id, `127.0.0.1:${ports[at]}`]))
    const inputs = ids.map((id) => ({ ...build, ...options, id, kind, members, directory: join(build.directory, id) }))
    const system = new Embedded(inputs)
    try {
      await Promise.all(ids.map((_, at) => system.startMember(at)))
      await system.leader()
      return system
    } catch (error) {
      await system.stop()
      throw error
    }
  }

  /** Those that run. */
  get members(): System['members'] {
    return this.#inputs.flatMap(({ directory }, at) => {
      const helper = this.#helpers[at]
      return helper ? [{ pid: helper.pid, directory }] : []
    })
  }

  async startMember(at: number): Promise<void> {
    const input = this.#inputs[at]!
    mkdirSync(input.directory, { recursive: true })
    const about = {
      part: 'cluster',
      name: 'member',
      input,
      seconds: longest,
      warmUp: 0,
      quick: false,
      parent: input.directory,
    }
    const helper = startCase(about)
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

  /** The index of the member that leads, once all that run agree. Throws if that does not come to pass. */
  async leader(): Promise<number> {
    const until = performance.now() + patienceMs
    for (;;) {
      const running = [...this.#helpers.keys()].filter((at) => this.#helpers[at] !== undefined)
      const all = await Promise.all(running.map((at) => this.ask<MemberStatus>(at, { type: 'status' })))
      const leader = all.find(({ role }) => role === 'leader')
      const name = all[0]?.leader
      if (leader && all.every((one) => one.leader === name && one.term === leader.term)) return ids.indexOf(name!)
      if (performance.now() > until) throw new Error(`no leader in ${patienceMs / 1000} s: ${JSON.stringify(all)}`)
      await pause(20)
    }
  }

  async fill(count: number): Promise<void> {
    await this.ask(await this.leader(), { type: 'fill', count })
  }

  async run(work: Work): Promise<Sample> {
    const leader = await this.leader()
    const watched = { members: this.members.map(({ pid }) => pid), directory: this.#inputs[0]!.directory }
    const others = ids.map((_, at) => at).filter((at) => at !== leader && this.#helpers[at] !== undefined)
    let delays: Promise<Sample[]> = Promise.resolve([])
    const tell = (edge: 'begin' | 'end') => {
      delays = delays.then(() => Promise.all(others.map((at) => this.ask<Sample>(at, { type: 'edge', edge }))))
    }
    const saved = await this.#saved()
    const own = await this.ask<Sample>(leader, { type: 'run', work, watched }, tell)
    const snapshotBytes = ((await this.#saved()) - saved) / Math.max(1, own.total!) / watched.members.length
    return { ...worstDelay(own, await delays), snapshotBytes }
  }

  async standing(): Promise<Standing> {
    return agreed(async () => {
      const all = await Promise.all(ids.map((_, at) => this.ask<MemberStatus>(at, { type: 'status' })))
      return all.map(({ term, applied, puts }) => ({ term, applied, puts }))
    })
  }

  /** They get a moment to close what they have open; then they are ended. */
  async stop(): Promise<void> {
    const running = this.#helpers.filter((helper) => helper !== undefined)
    await Promise.race([
      Promise.all(running.map((helper) => ask(helper, { type: 'close' } satisfies Request).catch(() => {}))),
      pause(5000),
    ])
    for (const at of this.#helpers.keys()) if (this.#helpers[at]) await this.killMember(at)
  }

  /** Bytes of all snapshots that were saved. */
  async #saved(): Promise<number> {
    const running = [...this.#helpers.keys()].filter((at) => this.#helpers[at] !== undefined)
    const all = await Promise.all(running.map((at) => this.ask<MemberStatus>(at, { type: 'status' })))
    return all.reduce((sum, { snapshotBytes }) => sum + snapshotBytes, 0)
  }

  #member(at: number): Helper {
    const helper = this.#helpers[at]
    if (!helper) throw new Error(`${ids[at]} does not run`)
    return helper
  }
}

/** The sample with the delays of the member whose event loop was latest. */
export function worstDelay(own: Sample, others: readonly Sample[]): Sample {
  const fields = [...new Set([own, ...others].flatMap(Object.keys))].filter((field) => field.startsWith('loop'))
  const worst = fields.map((field) => [field, Math.max(...[own, ...others].map((sample) => sample[field] ?? 0))])
  return { ...own, ...Object.fromEntries(worst) }
}

/** What all members say, once they say the same. Throws if that does not come to pass: what was acknowledged must come to all. */
export async function agreed<T extends object>(look: () => Promise<readonly T[]>): Promise<T> {
  const until = performance.now() + patienceMs
  for (;;) {
    const all = await look()
    const texts = all.map((one) => JSON.stringify(one))
    if (texts.every((text) => text === texts[0])) return all[0]!
    if (performance.now() > until) throw new Error(`the members do not come to agree: ${texts.join(' ')}`)
    await pause(50)
  }
}
