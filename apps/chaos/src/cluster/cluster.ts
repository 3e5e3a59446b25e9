import { mkdirSync, readFileSync, realpathSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import {
  type Call,
  certifyMembers,
  type Exchange,
  exchange,
  folderOf,
  freePorts,
  type MemberView,
} from '@raftkit/app-kv'
import type { Adapters } from '../adapters.ts'
import { Network } from '../network/network.ts'
import { Power } from '../power/power.ts'
import type { Random } from '../random.ts'
import { Member } from './member.ts'
import { SmallDisk } from './small-disk.ts'

/** Milliseconds. */
const electionTimeout = 600
const serverTimeout = 4_000

const name = 'chaos'

/** Small, so that members compact their logs often, and one that was away is sent a snapshot. */
const flags = [
  ...['--cluster', name, '--snapshot-entries', '3000', '--trailing-entries', '500'],
  ...['--election-timeout', String(electionTimeout), '--timeout', String(serverTimeout)],
]

/** Smaller still: every few power cuts, a snapshot is being taken or a log cut short. */
const flagsOfPowered = [
  ...['--cluster', name, '--snapshot-entries', '500', '--trailing-entries', '100'],
  ...['--election-timeout', '300', '--timeout', String(serverTimeout)],
]

/** Of members, how many live on a small file system of their own, which can be filled. */
const smallDisks = 2

export interface ClusterOptions {
  readonly size: number
  readonly directory: string
  readonly adapters: Adapters
  readonly random: Random
}

interface Parts {
  readonly size: number
  readonly members: readonly Member[]
  readonly network: Network
  readonly disks?: ReadonlyMap<Member, SmallDisk>
  readonly powers?: ReadonlyMap<Member, Power>
}

/** A cluster of real processes. */
export class Cluster {
  readonly size: number
  readonly members: readonly Member[]
  readonly network: Network
  readonly disks: ReadonlyMap<Member, SmallDisk>
  /** Of each member, if it can be cut. */
  readonly powers: ReadonlyMap<Member, Power>
  /** Ids of those that belong to it, as its last known configuration says. */
  roster: string[]
  #timer: NodeJS.Timeout | undefined

  private constructor({ size, members, network, disks = new Map(), powers = new Map() }: Parts) {
    this.size = size
    this.members = members
    this.network = network
    this.disks = disks
    this.powers = powers
    this.roster = members.slice(0, size).map(({ id }) => id)
    for (const member of this.current) member.start()
    this.#timer = setInterval(() => void Promise.all(members.map((member) => member.look())), 150)
  }

  /** `size` members and one to spare, on a network of proxies, two of them on small disks. */
  static async start({ size, directory, adapters, random }: ClusterOptions): Promise<Cluster> {
    const ids = Array.from({ length: size + 1 }, (_, at) => `n${at + 1}`)
    const ports = await freePorts(ids.length * 2)
    const addresses = new Map(ids.map((id, at) => [id, `127.0.0.1:${ports[at]}`]))
    const founders = Object.fromEntries([...addresses].slice(0, size))
    const folder = await certified(directory, ids, adapters)
    const network = new Network(addresses, random.split('network'))
    await network.open()
    const disks = new Map<Member, SmallDisk>()
    const members = ids.map((id, at) => {
      const place = join(directory, id)
      const store = join(place, 'store')
      mkdirSync(store, { recursive: true })
      const small = at < smallDisks ? SmallDisk.mount(store) : undefined
      const plan = { id, address: addresses.get(id)!, httpPort: ports[ids.length + at]!, directory: place, flags }
      const use = { ...adapters, routes: network.routes(id), folder: folder(id) }
      const member = new Member(id in founders ? { ...plan, founders } : plan, use)
      if (small) disks.set(member, small)
      return member
    })
    return new Cluster({ size, members, network, disks })
  }

  /** `size` members whose power can be cut. They dial each other directly. */
  static async powered({ size, directory, adapters, random }: ClusterOptions): Promise<Cluster> {
    const ids = Array.from({ length: size }, (_, at) => `n${at + 1}`)
    const ports = await freePorts(ids.length * 2)
    const founders = Object.fromEntries(ids.map((id, at) => [id, `127.0.0.1:${ports[at]}`]))
    const folder = await certified(realpathSync(directory), ids, adapters)
    const powers = new Map<Member, Power>()
    const members = ids.map((id, at) => {
      const place = join(realpathSync(directory), id)
      const power = new Power(join(place, 'store'), join(place, 'trace'), random.split(`power of ${id}`))
      const plan = { id, address: founders[id]!, httpPort: ports[size + at]!, directory: place, founders }
      const use = { ...adapters, routes: {}, folder: folder(id) }
      const member = new Member({ ...plan, flags: flagsOfPowered, under: power.under }, use)
      powers.set(member, power)
      return member
    })
    return new Cluster({ size, members, network: new Network(new Map(), random.split('network')), powers })
  }

  /** Who belongs to it. */
  get current(): Member[] {
    return this.members.filter(({ id }) => this.roster.includes(id))
  }

  get endpoints(): string[] {
    return this.current.map(({ endpoint }) => endpoint)
  }

  /** Who said lately that it leads, of the highest term. Not of the roster alone: who came by a change of unknown outcome may lead. */
  get leader(): Member | undefined {
    const recent = performance.now() - 1_500
    let best: Member | undefined
    for (const member of this.members) {
      if (member.view?.role !== 'leader' || member.seen < recent || member.paused || !member.process.running) continue
      if (best === undefined || member.view.term > best.view!.term) best = member
    }
    return best
  }

  async untilLed(within: number): Promise<Member | undefined> {
    const deadline = performance.now() + within
    while (this.leader === undefined && performance.now() < deadline) await pause(30)
    return this.leader
  }

  followers(): Member[] {
    const { leader } = this
    return this.current.filter((member) => member !== leader && member.process.running && !member.paused)
  }

  /** Asks members in turn, the leader first, as an operator would. `except`: who is not to be asked. */
  async ask(call: Call, { within = 8_000, except }: { within?: number; except?: Member } = {}): Promise<Exchange> {
    const deadline = performance.now() + within
    let last: Exchange = { status: 0, body: 'nobody answered' }
    for (let attempt = 0; performance.now() < deadline; attempt++) {
      const order = [this.leader, ...this.followers()].filter((member) => member && member !== except) as Member[]
      const member = order[attempt % Math.max(1, order.length)]
      if (member) {
        const answer = await exchange(member.endpoint, call, deadline - performance.now()).catch(() => undefined)
        if (answer !== undefined) last = answer
        if (answer !== undefined && answer.status > 0 && answer.status < 500) return answer
        // It may have been done: asking again would be another change.
        if (answer === undefined || answer.status === 504) return last
      }
      await pause(100)
    }
    return last
  }

  /** The configuration, by a leader that still was one when it had told it: a linearizable read went through it after that. */
  async configuration(within: number): Promise<MemberView['config']['members'] | undefined> {
    const deadline = performance.now() + within
    while (performance.now() < deadline) {
      const leader = await this.untilLed(deadline - performance.now())
      if (!leader) return
      const told = await exchange(leader.endpoint, { method: 'GET', path: '/v1/members' }, 1_000).catch(() => undefined)
      const ready = await exchange(leader.endpoint, { method: 'GET', path: '/readyz' }, 1_500).catch(() => undefined)
      if (told?.status === 200 && ready?.status === 200) return (told.body as MemberView['config']).members
      await pause(100)
    }
    return
  }

  /** Terms that had a leader, by what the members said in their logs. */
  ledTerms(): number {
    const terms = new Set<string>()
    for (const { process } of this.members) {
      for (const [, term] of readLog(process.log).matchAll(/: leader of term (\d+):/g)) terms.add(term!)
    }
    return terms.size
  }

  /** Ends every process, at once, and lets go of ports and mounts. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.members.map((member) => member.down()))
    await this.network.close()
    // A failed run is looked at when the file systems of its members are gone.
    for (const disk of this.disks.values()) {
      disk.copyTo(`${disk.directory}-copy`)
      disk.unmount()
    }
  }
}

/** Where each member's certificate is, if they are to have one. */
async function certified(
  directory: string,
  ids: readonly string[],
  { tls }: Adapters,
): Promise<(id: string) => string | undefined> {
  if (!tls) return () => undefined
  const place = resolve(directory, 'tls')
  await certifyMembers(place, name, ids)
  return (id) => folderOf(place, id)
}

function readLog(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
