import { crc32 } from '@raftkit/bytes'
import type { Effects, Outgoing, Peer, ProtocolEvent, Sender } from '@raftkit/contract'
import { type Message, type Raft, raft } from '@raftkit/core'

/**
 * How messages get from one server to the next: `wire` encodes each, lays its parts end to end in the receiver's memory, as a socket
 * does, and decodes them there; `direct` hands over the message as it is, as one does who drives etcd-io/raft's RawNode.
 */
export type Carriage = 'wire' | 'direct'

interface Packet {
  readonly from: Sender
  readonly genesis: string
  readonly message: Message | Uint8Array
}

export interface Digest {
  readonly commit: number
  readonly checksum: number
}

/** One server, and what it committed since it was last asked. Its disk is done at once with whatever it is given. */
class Server {
  readonly id: string
  readonly raft: Raft
  readonly sender: Sender
  readonly wire = new Wire()
  readonly inbox: Packet[] = []
  /** Records that were committed, in pieces, still to be summed. */
  committed: (readonly Uint8Array[])[] = []
  commit = 0
  settled = 0
  deadline = Number.POSITIVE_INFINITY
  #checksum = 0

  constructor(id: string, founders: readonly Peer[], seed: number) {
    this.id = id
    const incarnation = seed.toString(16).padStart(32, '0')
    this.sender = { id, incarnation }
    const opening = raft.open({
      id,
      cluster: 'bench',
      group: 'main',
      incarnation,
      founders,
      found: { first: 1, last: 0 },
      seed,
      maxMessageBytes: 4 * 1024 * 1024,
    })
    this.raft = opening.start(0) as Raft
  }

  /** Of every record committed here, in order. Summed outside the measured time: it is no work of a server. */
  get digest(): Digest {
    for (const parts of this.committed) for (const part of parts) this.#checksum = crc32(part, this.#checksum)
    this.committed = []
    return { commit: this.commit, checksum: this.#checksum }
  }
}

/**
 * Three servers in one thread, in lock step: some entries are proposed at the leader, and every message is delivered in the order it was
 * sent until nobody has anything to say. A turn of a server is what the runtime makes of it: it steps all that arrived, takes, and
 * writes; here the write is durable at once.
 */
export class LockStep {
  readonly #servers: Server[]
  readonly #leader: Server
  readonly #carriage: Carriage
  #now = 0
  #id = 0
  messages = 0

  constructor(carriage: Carriage) {
    this.#carriage = carriage
    const founders = ['a', 'b', 'c'].map((id) => ({ id }))
    this.#servers = founders.map(({ id }, at) => new Server(id, founders, at + 1))
    this.#leader = this.#servers[0]!
    for (const server of this.#servers) this.#turn(server)
    this.#untilQuiet()
    while (this.#leader.raft.status().genesis === '') this.#passTime()
    this.#do(this.#leader, { type: 'campaign' })
    this.#untilQuiet()
    if (this.#leader.raft.status().role !== 'leader') throw new Error('the first server was not elected')
  }

  /** Proposes so many entries at the leader, and delivers until all three have committed them. */
  round(payloads: readonly Uint8Array[], batch: number): void {
    this.#now += 0.02
    const leader = this.#leader
    for (let at = 0; at < batch; at++) {
      const id = ++this.#id
      leader.raft.step(
        { type: 'propose', id, data: payloads[id % payloads.length]!, time: id, seed: id >>> 0 },
        this.#now,
      )
    }
    this.#turn(leader)
    this.#untilQuiet()
  }

  /** What each server has committed; all must be equal. */
  digests(): Digest[] {
    if (this.#leader.settled !== this.#id) throw new Error(`${this.#leader.settled} of ${this.#id} proposals settled`)
    return this.#servers.map((server) => server.digest)
  }

  #untilQuiet(): void {
    for (let busy = true; busy; ) {
      busy = false
      for (const server of this.#servers) {
        if (server.inbox.length === 0 && server.deadline > this.#now) continue
        busy = true
        this.#turn(server)
      }
    }
  }

  #passTime(): void {
    this.#now += 10
    for (const server of this.#servers) this.#do(server, { type: 'time' })
    this.#untilQuiet()
  }

  #do(server: Server, event: ProtocolEvent<Message, unknown>): void {
    server.raft.step(event, this.#now)
    this.#turn(server)
  }

  #turn(server: Server): void {
    const { raft, inbox } = server
    // Nobody answers before this turn is over, so what is in the inbox is all there is.
    for (let left = inbox.length; left > 0; left--) {
      const { from, genesis, message } = inbox.shift()!
      const event = message instanceof Uint8Array ? raft.decode(message) : message
      raft.step({ type: 'message', from, genesis, message: event }, this.#now)
    }
    if (server.deadline <= this.#now) raft.step({ type: 'time' }, this.#now)
    for (;;) {
      const { write, messages, apply, settled, deadline } = raft.take(this.#now) as Effects<Message>
      server.deadline = deadline ?? Number.POSITIVE_INFINITY
      for (const message of messages) this.#send(server, message)
      for (const { type } of settled) if (type === 'committed') server.settled++
      if (apply !== undefined) {
        if (apply.records === undefined) throw new Error('committed records were not in memory')
        server.committed.push(apply.records)
        server.commit = apply.to
        raft.step({ type: 'applied', index: apply.to }, this.#now)
      }
      if (write === undefined) return
      raft.step({ type: 'durable', write: write.id }, this.#now)
    }
  }

  #send(from: Server, { to, message }: Outgoing<Message>): void {
    this.messages++
    const receiver = this.#servers.find(({ id }) => id === to)!
    const { genesis } = from.raft.state
    receiver.inbox.push({
      from: from.sender,
      genesis,
      message: this.#carriage === 'wire' ? receiver.wire.carry(from.raft.encode(message)) : message,
    })
  }
}

/** What a socket reads into: pieces of memory that hold many messages each, none of them used twice. */
class Wire {
  #piece: Uint8Array = new Uint8Array(0)
  #used = 0

  carry(parts: readonly Uint8Array[]): Uint8Array {
    let length = 0
    for (const part of parts) length += part.length
    if (length > this.#piece.length - this.#used) {
      this.#piece = new Uint8Array(Math.max(length, 64 * 1024))
      this.#used = 0
    }
    const begin = this.#used
    for (const part of parts) {
      this.#piece.set(part, this.#used)
      this.#used += part.length
    }
    return this.#piece.subarray(begin, this.#used)
  }
}
