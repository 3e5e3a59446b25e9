import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Client } from '../client/client.ts'
import type { MemberView } from '../client/cluster-commands.ts'
import type { CredentialFlags } from '../client/credentials.ts'
import type { Call } from '../client/exchange.ts'
import { development } from './development.ts'
import { freePorts, MemberProcess } from './member-process.ts'

const name = 'demo'
/** Small, so that every member takes several snapshots, and who was away long enough is sent one. */
const flags = ['--snapshot-entries', '1000', '--trailing-entries', '200', '--cluster', name]

export interface Leader {
  readonly member: MemberProcess
  readonly view: MemberView
}

/** The members of the demo, and what they say of themselves. */
export class DemoCluster {
  readonly members: readonly MemberProcess[]
  /** Files, if a client has to show who it is. */
  readonly credentials: CredentialFlags
  #retired = new Set<MemberProcess>()
  #snapshots = new Set<string>()

  private constructor(members: readonly MemberProcess[], credentials: CredentialFlags) {
    this.members = members
    this.credentials = credentials
    // Snapshots follow one another: what is in force is looked at often enough to count them.
    setInterval(() => void Promise.all(this.current.map((member) => this.view(member))), 200).unref()
  }

  /** All but the last id found the cluster. `tls`: with certificates and a token of their own. */
  static async plan(
    directory: string,
    ids: readonly string[],
    { adapters, tls }: { readonly adapters: readonly string[]; readonly tls: boolean },
  ): Promise<DemoCluster> {
    const secured = tls ? await development(join(directory, 'tls'), name, ids) : undefined
    const ports = await freePorts(ids.length * 2)
    const addresses = ids.map((_, at) => `127.0.0.1:${ports[at]}`)
    const founders = Object.fromEntries(ids.slice(0, -1).map((id, at) => [id, addresses[at]!]))
    return new DemoCluster(
      ids.map((id, at) => {
        const plan = {
          id,
          address: addresses[at]!,
          httpPort: ports[ids.length + at]!,
          directory: join(directory, id),
          flags: [...flags, ...adapters, ...(secured?.flags(id) ?? [])],
          ...(secured && { dialer: secured.dialer }),
        }
        return new MemberProcess(id in founders ? { ...plan, founders } : plan)
      }),
      secured?.client ?? {},
    )
  }

  /** Who runs and is part of the cluster, or about to be. */
  get current(): MemberProcess[] {
    return this.members.filter((member) => member.running && !this.#retired.has(member))
  }

  /** How many have been in force, of all members. */
  get snapshots(): number {
    return this.#snapshots.size
  }

  client(endpoints: readonly string[], timeout: number): Client {
    const { dialer } = this.members[0]!.plan
    return new Client({ endpoints, timeout, ...(dialer && { dialer }) })
  }

  retire(member: MemberProcess): void {
    this.#retired.add(member)
  }

  async view(member: MemberProcess): Promise<MemberView | undefined> {
    const answer = await member.ask({ method: 'GET', path: '/v1/status' }, 2_000).catch(() => undefined)
    if (answer?.status !== 200) return
    const view = answer.body as MemberView
    if (view.snapshot) this.#snapshots.add(`${view.id} ${view.incarnation} ${view.snapshot.index}`)
    return view
  }

  /** Who says it leads, of a term after the given one, with a majority that says so too. */
  async leader({ after = 0 } = {}): Promise<Leader> {
    for (;;) {
      const views = await Promise.all(this.current.map(async (member) => ({ member, view: await this.view(member) })))
      for (const { member, view } of views) {
        if (view?.role !== 'leader' || view.term <= after) continue
        const followers = views.filter((other) => other.view?.leader === view.id && other.view.term === view.term)
        if (followers.length * 2 > view.config.members.length) return { member, view }
      }
      await pause(20)
    }
  }

  /** One of them that does not lead. */
  async follower(among: readonly MemberProcess[]): Promise<MemberProcess> {
    const leader = await this.leader()
    return among.find((member) => member !== leader.member)!
  }

  /** A linearizable read goes through it, and it is a voter. */
  async untilReady(member: MemberProcess): Promise<void> {
    while ((await member.ask({ method: 'GET', path: '/readyz' }, 3_000).catch(() => undefined))?.status !== 200) {
      await pause(50)
    }
  }

  async untilCompacted(member: MemberProcess): Promise<void> {
    while (((await this.view(member))?.first ?? 1) <= 1) await pause(50)
  }

  /** A membership change, asked of any member but the one it is about: who leaves may not hear how it went. */
  async change(about: MemberProcess, call: Call): Promise<void> {
    const endpoints = this.current.filter((member) => member !== about).map(({ endpoint }) => endpoint)
    await this.client(endpoints, 30_000).call(call)
  }

  /** Of the whole machine on every member, at one index. */
  async hashes(): Promise<{ id: string; index: number; hash: string }[]> {
    for (;;) {
      const answers = await Promise.all(
        this.current.map((member) => member.ask({ method: 'GET', path: '/v1/hash' }, 5_000)),
      )
      const hashes = answers.map(({ body }) => body as { id: string; index: number; hash: string })
      if (answers.every(({ status }) => status === 200) && new Set(hashes.map(({ index }) => index)).size === 1)
        return hashes
      await pause(100)
    }
  }
}
