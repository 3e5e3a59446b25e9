import { type Digest, founding, type Members, type Message, type Operators, readEpochs, type Voter } from '@raftkit/bft'
import type {
  Ask,
  Effects,
  Lane,
  MessageSummary,
  NodeId,
  Opening,
  Outgoing,
  Protocol,
  ProtocolEvent,
  ProtocolInit,
  ProtocolKind,
  Status,
} from '@raftkit/contract'
import { RaftkitError } from '@raftkit/contract'
import type { FaultName } from './faults.ts'
import { Knowledge } from './knowledge.ts'
import { Liar } from './liar.ts'
import type { Behaviour, Said } from './stage.ts'

export interface Lies {
  /** Who founds the cluster, and the hash: as `certifiedRaft` has them. */
  readonly members: readonly Voter[]
  readonly operators?: Operators
  readonly digest: Digest
  readonly behaviours: readonly Behaviour[]
  /** Decides every lie: 32 bits. Default: the seed that the runtime draws. */
  readonly seed?: number
  /** Shared by liars of one process that conspire. */
  readonly knowledge?: Knowledge
  /** Told of every lie, as it is told. */
  readonly did?: (fault: FaultName, isLive?: true) => void
}

/** The protocol of a member that lies, with its own key: by way of the node's `signatures`, like all that it signs. Anything else of the node is honest. */
export function byzantine(kind: ProtocolKind<Message>, lies: Lies): ProtocolKind<Message> {
  // Under the honest name: members of another protocol are refused.
  return { ...kind, open: (init) => open(kind, lies, init) }
}

function open(kind: ProtocolKind<Message>, lies: Lies, init: ProtocolInit): Opening<Message> {
  const opening = kind.open(init)
  return {
    get snapshot() {
      return opening.snapshot
    },
    load: (run) => opening.load(run),
    start: (now) => new LyingProtocol(opening.start(now), lies, init, now),
  }
}

interface Due {
  readonly at: number
  readonly run: () => void
}

class LyingProtocol implements Protocol<Message> {
  readonly #inner: Protocol<Message>
  readonly #liar: Liar
  #now: number
  /** What the honest protocol would send with it, for lane and durability. */
  #occasion: Outgoing<Message> | undefined
  #messages: Outgoing<Message>[] = []
  #asks: Ask[] = []
  #asked = 0
  readonly #signing: Map<number, (signature: Uint8Array) => void> = new Map()
  #due: Due[] = []
  readonly #founders: Members
  readonly #digest: Digest
  #epochs: readonly Members[]
  /** Bytes that are no message stand among the messages by an object of their own. */
  readonly #noise: WeakMap<Message, Uint8Array> = new WeakMap()

  constructor(inner: Protocol<Message>, lies: Lies, init: ProtocolInit, now: number) {
    this.#inner = inner
    this.#now = now
    const { cluster, group, key } = init
    const { digest, operators } = lies
    this.#founders = founding(digest, {
      cluster,
      group,
      members: lies.members,
      ...(operators && { operators }),
    }).members
    this.#digest = digest
    this.#epochs = this.#read()
    const random = numbers(lies.seed ?? init.seed)
    const epochs = (): readonly Members[] => this.#epochs
    this.#liar = new Liar(
      {
        get epochs() {
          return epochs()
        },
        key: key!,
        digest: lies.digest,
        self: init.id,
        knowledge: lies.knowledge ?? new Knowledge(lies.digest),
        timeout: init.timing?.electionTimeout ?? 1000,
        random,
        sign: (bytes, then) => this.#sign(bytes, then),
        send: (to, said) => this.#send(to, said),
        later: (delay, run) => void this.#due.push({ at: this.#now + delay, run }),
        did: (fault, isLive) => lies.did?.(fault, isLive),
      },
      lies.behaviours,
    )
  }

  step(event: ProtocolEvent<Message>, now: number): void {
    this.#now = now
    const due = this.#due.filter(({ at }) => at <= now)
    this.#due = this.#due.filter(({ at }) => at > now)
    for (const { run } of due) run()
    switch (event.type) {
      case 'message': {
        const message = this.#liar.hears(event.from.id, event.message)
        if (message !== undefined) this.#inner.step({ ...event, message }, now)
        break
      }
      case 'submit':
        if (this.#liar.takes(event.request)) this.#inner.step(event, now)
        break
      case 'answer':
        if (event.ask % 2 === 0) this.#inner.step({ ...event, ask: event.ask / 2 }, now)
        else if (event.answer.type === 'sign') this.#signing.get(event.ask)?.(event.answer.signature)
        this.#signing.delete(event.ask)
        break
      default:
        this.#inner.step(event, now)
    }
  }

  take(now: number): Effects<Message> {
    this.#now = now
    const effects = this.#inner.take(now)
    if (effects.happened.some(({ type }) => type === 'configuration')) this.#epochs = this.#read()
    for (const outgoing of effects.messages) {
      this.#occasion = outgoing
      this.#liar.says(outgoing.to, outgoing.message)
    }
    this.#occasion = undefined
    const messages = this.#messages
    const asks = [...effects.asks.map((ask) => ({ ...ask, id: ask.id * 2 })), ...this.#asks]
    this.#messages = []
    this.#asks = []
    const first = this.#due.reduce((least, { at }) => Math.min(least, at), effects.deadline ?? Number.POSITIVE_INFINITY)
    const { deadline, ...rest } = effects
    return { ...rest, messages, asks, ...(first < Number.POSITIVE_INFINITY && { deadline: first }) }
  }

  encode(message: Message): readonly Uint8Array[] {
    const noise = this.#noise.get(message)
    return noise ? [noise] : this.#inner.encode(message)
  }

  decode(bytes: Uint8Array): Message {
    return this.#inner.decode(bytes)
  }

  describe(message: Message): MessageSummary {
    return this.#inner.describe?.(message) ?? { kind: message.type }
  }

  status(): Status {
    return this.#inner.status()
  }

  receipt(index: number): Uint8Array | undefined {
    return this.#inner.receipt?.(index)
  }

  fork(): this {
    throw new RaftkitError('INVARIANT', 'a liar is not explored: model checkers have an adversary of their own')
  }

  digest(rename?: (id: NodeId) => NodeId): Uint8Array {
    return this.#inner.digest(rename)
  }

  /** What its own node hands out needs no second look. */
  #read(): readonly Members[] {
    const steps = this.#inner.receipt?.(this.#inner.status().configIndex)
    if (steps === undefined) return [this.#founders]
    return readEpochs(this.#founders, steps, { digest: this.#digest, verify: (checks) => checks.map(() => true) })
  }

  #sign(bytes: Uint8Array, then: (signature: Uint8Array) => void): void {
    const id = ++this.#asked * 2 + 1
    this.#signing.set(id, then)
    this.#asks.push({ type: 'sign', id, bytes })
  }

  #send(to: NodeId, said: Said): void {
    const { lane, after }: { lane: Lane; after: number } = this.#occasion ?? { lane: 'control', after: 0 }
    if (!(said instanceof Uint8Array)) {
      this.#messages.push({ to, incarnation: '', message: said, lane, after })
      return
    }
    const message: Message = { type: 'forward', requests: [] }
    this.#noise.set(message, said)
    this.#messages.push({ to, incarnation: '', message, lane, after })
  }
}

/** Mulberry32: enough for lies. */
function numbers(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}
