import { kv } from '@raftkit/app-kv'
import {
  type Environment,
  isRaftkitError,
  type Lane,
  type Peer,
  type Receiver,
  type Storage,
  type Transport,
} from '@raftkit/contract'
import { jointConsensus } from '@raftkit/membership'
import { memoryStorage } from '@raftkit/storage-memory'
import { createNode, type Node, type NodeEvent, type Observer, traceWriter } from 'raftkit'
import { Random } from '../mutation/random.ts'

export type KvNode = Node<typeof kv>

export interface Sent {
  readonly from: string
  readonly to: string
  readonly bytes: Uint8Array
}

/** Nodes of kv in one thread whose clock, randomness and network are ours: what they do, a seed decides. */
export class Cluster implements Environment {
  readonly nodes = new Map<string, KvNode>()
  readonly receivers = new Map<string, Receiver>()
  readonly events: NodeEvent[] = []
  /** All that was ever sent, while it is listened to. */
  sent: Sent[] | undefined
  /** What a trace of all of them says, likewise. */
  trace: string | undefined
  /** Nobody hears anything any more. */
  deaf = false
  #now = 1_000
  #soon: (() => void)[] = []
  readonly #linked = new Set<string>()
  #timers: { readonly time: number; readonly run: () => void }[] = []
  readonly #random = new Random('cluster')

  now = (): number => this.#now
  wall = (): number => 1_760_000_000_000 + this.#now
  at = (time: number, run: () => void): (() => void) => {
    const timer = { time, run }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }
  soon = (run: () => void): void => {
    this.#soon.push(run)
  }
  random = (into: Uint8Array): void => {
    into.set(this.#random.bytes(into.length))
  }

  async add(
    id: string,
    founders: readonly string[],
    storage: Storage = memoryStorage({ durable: true }),
  ): Promise<KvNode> {
    const node = this.until(
      createNode({
        id,
        cluster: 'fuzz',
        machine: kv,
        storage,
        transport: this.#transport(id),
        membership: jointConsensus(),
        environment: this,
        ...(founders.includes(id)
          ? { members: Object.fromEntries(founders.map((name) => [name, `${name}:1`])) }
          : { join: true, address: `${id}:1` }),
        snapshots: { everyEntries: 1_000_000, trailingEntries: 0 },
        observer: this.trace === undefined ? this.#observe : this.#traced,
      }),
    )
    const made = await node
    this.nodes.set(id, made)
    return made
  }

  /** What is due now, and what follows from it at once. */
  async turn(): Promise<void> {
    for (let round = 0; round < 3; round++) {
      const due = this.#soon
      this.#soon = []
      for (const run of due) run()
      for (let i = 0; i < 12; i++) await null
      if (this.#soon.length === 0) return
    }
  }

  async pass(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds
    while (this.#now < end) {
      const next = Math.min(...this.#timers.map(({ time }) => time))
      this.#now = this.#soon.length > 0 ? this.#now + 1 : Math.min(end, Math.max(this.#now + 1, next))
      const due = this.#timers.filter(({ time }) => time <= this.#now)
      this.#timers = this.#timers.filter(({ time }) => time > this.#now)
      for (const { run } of due) run()
      if (due.length > 0 || this.#soon.length > 0) await this.turn()
    }
  }

  /** Lets time pass until it is settled. `loop`: it waits for turns of the event loop, too, and time passes only when those bring nothing. */
  async until<T>(promise: Promise<T>, loop = false): Promise<T> {
    let settled = false
    promise.then(
      () => (settled = true),
      () => (settled = true),
    )
    let idle = 0
    for (let i = 0; i < 60_000 && !settled; i++) {
      for (let turns = 0; turns < 20 && !settled; turns++) await null
      if (settled) break
      if (!loop) {
        await this.pass(1)
        // Who waits for the event loop as well, for once.
        if (i % 256 === 255) await new Promise((resolve) => setImmediate(resolve))
        continue
      }
      await new Promise((resolve) => setImmediate(resolve))
      if (this.#soon.length > 0) {
        idle = 0
        await this.turn()
      } else if (++idle > 6) {
        const next = Math.min(...this.#timers.map(({ time }) => time))
        await this.pass(Number.isFinite(next) ? Math.max(1, next - this.#now) : 1)
      }
    }
    if (!settled) throw new Error(`a cluster waits without an end: its clock says ${this.#now} ms`)
    return promise
  }

  async close(): Promise<void> {
    this.deaf = true
    for (const node of this.nodes.values()) {
      const closing = node.close().catch(() => undefined)
      await this.until(closing)
    }
  }

  readonly #observe: Observer = (event) => {
    this.events.push(event)
    if (this.events.length > 1000) this.events.length = 0
  }

  readonly #traced: Observer = traceWriter((line) => (this.trace += line), { cluster: 'fuzz', environment: this })

  /** Both are there, and admit each other; who is refused is dialled again when it is named as a peer. */
  #link(id: string, other: string): void {
    const [ours, theirs] = [this.receivers.get(id), this.receivers.get(other)]
    const pair = [id, other].sort().join(' ')
    if (!ours || !theirs || id === other || this.#linked.has(pair)) return
    try {
      theirs.admit(ours.hello())
      ours.admit(theirs.hello())
    } catch (error) {
      if (isRaftkitError(error, 'REFUSED')) return
      throw error
    }
    this.#linked.add(pair)
    this.soon(() => {
      ours.link(other, 'up')
      theirs.link(id, 'up')
    })
  }

  #transport(id: string): Transport {
    return {
      contract: 1,
      maxFrameBytes: 1_048_576,
      start: async (_self: Peer, receiver: Receiver) => {
        this.receivers.set(id, receiver)
        for (const other of this.receivers.keys()) this.#link(id, other)
      },
      send: (to: string, frame: readonly Uint8Array[], _lane: Lane) => {
        const bytes = new Uint8Array(Buffer.concat(frame))
        this.sent?.push({ from: id, to, bytes })
        if (!this.deaf) this.soon(() => this.receivers.get(to)?.frame(id, bytes))
      },
      setPeers: (peers: readonly Peer[]) => {
        for (const peer of peers) this.#link(id, peer.id)
      },
      close: async () => void this.receivers.delete(id),
    }
  }
}

export const founders = ['n1', 'n2', 'n3']

/** Three founders, one of which leads. Each time the same. */
export async function founded(traced = false): Promise<Cluster> {
  const cluster = new Cluster()
  if (traced) cluster.trace = ''
  for (const id of founders) await cluster.add(id, founders)
  await Promise.all([...cluster.nodes.values()].map((node) => cluster.until(node.ready())))
  return cluster
}

/** As much of what members ever tell each other as a short life has. */
export async function livedThrough(): Promise<{
  readonly sent: readonly Sent[]
  readonly hellos: readonly Uint8Array[]
  readonly trace: string
}> {
  const cluster = await founded(true)
  cluster.sent = []
  const [n1, n2, n3] = founders.map((id) => cluster.nodes.get(id)!) as [KvNode, KvNode, KvNode]
  for (const node of [n1, n2, n3]) {
    await cluster.until(node.commands.put({ key: `of-${node.id}`, value: 'ä'.repeat(40) }))
    await cluster.until(node.commands.cas({ key: `of-${node.id}`, expect: { absent: true }, value: '' }))
    await cluster.until(node.queries.get({ key: 'of-n1' }))
  }
  await cluster.until(n1.transferLeadership('n2')).catch(() => undefined)
  await cluster.until(n3.transferLeadership('n3')).catch(() => undefined)
  for (const node of [n1, n2, n3]) await cluster.until(node.snapshot())
  await cluster.add('n4', founders)
  await cluster.until(n1.members.addVoter('n4', 'n4:1')).catch(() => undefined)
  await cluster.pass(500)
  await cluster.until(n2.members.demote('n4')).catch(() => undefined)
  await cluster.until(n2.members.remove('n4')).catch(() => undefined)
  await cluster.pass(1500)
  const hellos = [...cluster.receivers.values()].map((receiver) => receiver.hello())
  const { sent } = cluster
  await cluster.close()
  return { sent, hellos, trace: cluster.trace! }
}
