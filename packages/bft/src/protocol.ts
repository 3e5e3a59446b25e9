import { hash128, Writer } from '@raftkit/bytes'
import {
  type Effects,
  type Happening,
  type Index,
  type MessageSummary,
  type NodeId,
  type Peer,
  type Protocol,
  type ProtocolEvent,
  RaftkitError,
  type Status,
} from '@raftkit/contract'
import { type CallLimits, Calls } from './calls.ts'
import { retainBlobs } from './checkpointing.ts'
import { type Committed, receiptOf } from './committed.ts'
import { configOf } from './config.ts'
import { describe } from './describing.ts'
import { decodeMessage, encodeMessage } from './encoding.ts'
import type { Entry } from './entry.ts'
import { encodeSteps } from './epochs.ts'
import { outgoing } from './fitting.ts'
import { shortGenesis } from './founding.ts'
import { type Identity, writeIdentity } from './identity.ts'
import type { Message } from './messages.ts'
import { Own } from './own.ts'
import { applied } from './records.ts'
import type { Server } from './server.ts'
import { encodeState } from './state.ts'
import { statusOf } from './status.ts'
import { meet } from './succession.ts'
import { newsOf, type Told, toTell } from './telling.ts'

export interface CertifiedRaftParts extends CallLimits {
  readonly identity: Identity
  readonly server: Server
  /** Its own, public. */
  readonly key: Uint8Array
  /** Where to dial founders. */
  readonly contacts: readonly Peer[]
  /** Of this boot, for the node's own requests: never used before. */
  readonly session: number
  readonly maxMessageBytes: number
  /** Of records. */
  readonly checksumSeed: number
  /** Milliseconds since the epoch at `now`. */
  readonly time: number
  readonly now: number
  /** What the machine holds already. */
  readonly position: Index
  readonly archive?: (committed: Committed) => void
}

/**
 * A member as the runtime drives it. What is agreed on, `server` decides; the `calls` of this node become requests and wait for them; committed
 * entries become records, each operation at a place of its own; and the host is told what has changed.
 */
export class CertifiedRaft implements Protocol<Message> {
  readonly #parts: CertifiedRaftParts
  readonly #server: Server
  #calls: Calls
  #told: Told
  #happened: Happening[] = []
  /** Committed and handed out up to here. */
  #position: Index
  #applied: Index
  /** Milliseconds since the epoch when the monotonic clock was at 0, by whatever the host stamped last. */
  #origin: number
  #encoded: { readonly message: Message; readonly parts: readonly Uint8Array[] } | undefined

  constructor(parts: CertifiedRaftParts) {
    const { server, key, session, proposalBytes, contacts, position, time, now } = parts
    this.#parts = parts
    this.#server = server
    this.#calls = new Calls(server, new Own(key, session, proposalBytes), parts)
    // Who leads is news.
    this.#told = { ...toTell(server, contacts), role: 'follower', leader: undefined, term: undefined }
    this.#position = position
    this.#applied = position
    this.#origin = time - now
  }

  step(event: ProtocolEvent<Message>, now: number): void {
    const server = this.#server
    if ('time' in event) this.#origin = event.time - now
    server.wall = Math.max(server.wall, Math.floor(this.#origin + now))
    switch (event.type) {
      case 'message':
        return this.#onMessage(event.from.id, event.message, now)
      case 'propose':
        return this.#calls.propose(event.id, event.data)
      case 'submit':
        return this.#calls.submit(event.id, event.request)
      case 'read':
        return this.#calls.read(event.id, event.consistency)
      case 'change':
        return this.#calls.change(event.id, event.request)
      case 'transfer':
        return this.#calls.refuse(
          event.id,
          'REFUSED',
          'nobody hands leadership over here: each term has its leader, and a quorum ends a term',
        )
      case 'campaign':
        return
      case 'link':
        server.now = now
        return event.state === 'up' ? meet(server, event.peer) : undefined
      case 'time':
        server.since += event.stalled ?? 0
        return server.step({ type: 'time' }, now)
      case 'durable':
        return server.step({ type: 'durable', write: event.write }, now)
      case 'answer':
        return this.#onAnswer(event, now)
      case 'applied':
        this.#applied = Math.max(this.#applied, event.index)
        return
      case 'snapshot':
        // Nobody's checkpoint: it goes again.
        return retainBlobs(server)
    }
  }

  take(now: number): Effects<Message> {
    const server = this.#server
    const { identity, maxMessageBytes } = this.#parts
    const { write, messages, asks, committed, happened, deadline } = server.take(now)
    const restore = asks.find((ask) => ask.type === 'restore')
    if (restore) this.#position = restore.snapshot.index
    if (restore) this.#calls.skipped()
    this.#calls.executed(committed)
    this.#archive(committed)
    const apply = this.#apply(committed)
    this.#tell(restore !== undefined)
    const calls = this.#calls.take()
    const isForLeader = calls.placed.length > 0 && !server.isLeader
    const forward = { type: 'forward', requests: calls.placed } as const
    const leader = server.members.leader(server.ballot.term)
    const effects: Effects<Message> = {
      messages: outgoing(
        isForLeader ? [...messages, { to: leader, message: forward, after: 0 }] : messages,
        maxMessageBytes,
      ),
      asks: [
        ...calls.asks.map((ask) => ({ ...ask, id: 2 * ask.id + 1 })),
        ...asks.map((ask) => ({ ...ask, id: 2 * ask.id })),
      ],
      settled: calls.settled,
      happened: [...happened.filter((one) => one.type !== 'epoch'), ...this.#happened],
      ...(write && { write: { ...write, change: identified(identity, write.change) } }),
      ...(apply && { apply }),
      ...(deadline !== undefined && { deadline }),
    }
    this.#happened = []
    return effects
  }

  encode(message: Message): readonly Uint8Array[] {
    // What is said to all is encoded once.
    if (this.#encoded?.message !== message) this.#encoded = { message, parts: [encodeMessage(message)] }
    return this.#encoded.parts
  }

  decode(bytes: Uint8Array): Message {
    return decodeMessage(bytes)
  }

  describe(message: Message): MessageSummary {
    return describe(message)
  }

  receipt(index: Index): Uint8Array | undefined {
    const { epochs } = this.#server
    const steps = index === 1 ? 0 : 1 + epochs.findIndex(({ entry }) => entry.header.position + 1 === index)
    return steps > 0 || index === 1 ? encodeSteps(epochs.slice(0, steps)) : receiptOf(this.#server, index)
  }

  status(now: number = this.#server.now): Status {
    const { identity, key } = this.#parts
    const place = { boot: identity.boot, key, position: this.#position, applied: this.#applied }
    return statusOf(this.#server, this.#told, place, now)
  }

  fork(): this {
    const copy = new CertifiedRaft({ ...this.#parts, server: this.#server.fork() })
    copy.#calls = this.#calls.fork(copy.#server)
    copy.#told = this.#told
    copy.#happened = [...this.#happened]
    copy.#position = this.#position
    copy.#applied = this.#applied
    copy.#origin = this.#origin
    return copy as this
  }

  /** Of what is durable, what waits and what is suspected. Members sign by name, so none can be renamed: `rename` is left aside. */
  digest(): Uint8Array {
    const { committed, pool, demands, suspicions, journal } = this.#server
    const writer = new Writer(1024)
      .bytes(encodeState(this.#server))
      .text(committed.hash)
      .u64(journal.issued - journal.durable)
    for (const hash of [...pool].map((pooled) => pooled.hash).sort()) writer.text(hash)
    for (const [signer, { term }] of [...demands].sort(([a], [b]) => a - b)) writer.u8(signer).u64(term)
    for (const [signer, { term }] of [...suspicions].sort(([a], [b]) => a - b)) writer.u8(signer).u64(term)
    return hash128(writer.finish())
  }

  #onMessage(from: NodeId, message: Message, now: number): void {
    // Those who left, and those who bring word of epochs that this node has not come through, are members of another epoch.
    if (this.#server.members.signer(from) !== undefined || this.#server.members.operators !== undefined)
      return this.#server.step({ type: 'message', from, message }, now)
    this.#happened.push({ type: 'ignored', from, reason: 'it is no member' })
  }

  /** Even ids are the server's asks, odd ones those of calls. */
  #onAnswer({ ask, answer }: Extract<ProtocolEvent, { type: 'answer' }>, now: number): void {
    const server = this.#server
    if (ask % 2 === 1) return this.#calls.answered((ask - 1) / 2, answer, now)
    if (answer.type === 'sign') server.step({ type: 'signed', ask: ask / 2, signature: answer.signature }, now)
    else if (answer.type === 'verify') server.step({ type: 'verified', ask: ask / 2, valid: answer.valid }, now)
    else server.step({ type: 'answered', ask: ask / 2, answer }, now)
  }

  /** Committed entries as records, the founding before all. */
  #apply(committed: readonly Entry[]): Effects['apply'] {
    const { digest, founding, members, self, key } = this.#server.settings
    const { identity, checksumSeed, contacts } = this.#parts
    const isFirst = this.#position === 0
    if (isFirst && identity.boot === 1 && members.signer(self, key) !== undefined)
      this.#happened.push({
        type: 'founded',
        genesis: shortGenesis(members),
        config: configOf(digest, members, contacts),
      })
    const apply = applied(digest, isFirst ? [founding, ...committed] : committed, checksumSeed)
    if (!apply) return undefined
    if (apply.from !== this.#position + 1)
      throw new RaftkitError('INVARIANT', `${apply.from} is committed behind ${this.#position}`)
    this.#position = apply.to
    this.#happened.push({ type: 'commit', index: apply.to })
    return apply
  }

  #archive(entries: readonly Entry[]): void {
    const { commit: certificate } = this.#server
    // Nothing else is certified.
    if (certificate !== undefined && entries.at(-1)?.header.index === certificate.place.index)
      this.#parts.archive?.({ certificate, entries })
  }

  #tell(isFetched: boolean): void {
    const before = this.#told
    const now = toTell(this.#server, this.#parts.contacts, before)
    this.#told = now
    this.#happened.push(...newsOf(before, now, isFetched))
    if (now.epoch !== before.epoch) this.#calls.epochEnded()
    if ((now.isRemoved && !before.isRemoved) || (now.isForked && !before.isForked)) this.#calls.abandon()
  }
}

/** The disk says whose it is. */
function identified(identity: Identity, change: NonNullable<Effects['write']>['change']): typeof change {
  return change.state === undefined ? change : { ...change, state: writeIdentity(identity, change.state) }
}
