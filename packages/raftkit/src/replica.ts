import { checksumSeed } from '@raftkit/bytes'
import type {
  Answer,
  Ask,
  Effects,
  Environment,
  GroupId,
  Happening,
  Index,
  Lane,
  LinkState,
  LogStore,
  MessageSummary,
  NodeId,
  Outgoing,
  Protocol,
  ProtocolEvent,
  RaftkitError,
  Sender,
  Signatures,
  SnapshotPoint,
  SnapshotStore,
  StateMachine,
  Status,
  Term,
} from '@raftkit/contract'
import { Answers } from './answers.ts'
import { type Applied, Applier, type ApplierEvents } from './applier.ts'
import type { Placement } from './attempts.ts'
import { answered, Blobs, storageFailure } from './blobs.ts'
import type { CallOptions } from './calls.ts'
import { randomSeeds } from './environment.ts'
import type { RuntimeEvent } from './events.ts'
import { failure } from './failure.ts'
import { Outbox } from './outbox.ts'
import type { Caller, Pending } from './pending.ts'
import { Proposal, type Proposing } from './proposal.ts'
import { carryOut } from './signing.ts'
import { check, unsealed } from './snapshot-file.ts'
import { type SnapshotPolicy, Snapshots } from './snapshots.ts'
import { Submission, type Submitted } from './submission.ts'

export interface ReplicaParts {
  readonly group: GroupId
  readonly protocol: Protocol
  readonly log: LogStore
  readonly snapshots: SnapshotStore
  readonly machine: StateMachine
  /** What the machine holds after open. */
  readonly applied: { readonly index: Index; readonly term: Term }
  readonly environment: Environment
  readonly policy: SnapshotPolicy
  readonly signatures?: Signatures
}

/** What a replica needs of its host. */
export interface ReplicaHost {
  /** Somebody wants to be told of each message and write. */
  readonly detail: boolean
  /** Something is to be stepped: have a turn soon. */
  wake(): void
  tell(group: GroupId, event: Happening | RuntimeEvent): void
  /** Identity or configuration may be others than before. */
  changed(): void
  failed(replica: Replica, error: RaftkitError): void
}

interface Received {
  readonly from: Sender
  readonly genesis: string
  readonly bytes: Uint8Array
}

/**
 * One protocol for one group. Whatever arrives is only gathered; in its turn the replica steps all of it, takes once, and carries
 * the effects out. Nothing asynchronous stands between a completion and its step, so no state is ever seen half changed.
 */
export class Replica implements Proposing {
  readonly group: GroupId
  readonly pending: Pending
  readonly applier: Applier
  readonly snapshots: Snapshots
  readonly seeds: () => number
  meter: Proposing['meter'] = { committed() {}, ended() {} }
  readonly #parts: ReplicaParts
  readonly #protocol: Protocol
  readonly #host: ReplicaHost
  readonly #blobs: Blobs
  readonly #outbox = new Outbox<unknown>()
  /** Writes issued and not yet durable: id, and when it was issued. */
  readonly #writes: { readonly id: number; readonly at: number }[] = []

  // What arrived since the last turn.
  #inbox: Record<Lane, Received[]> = { control: [], bulk: [] }
  #links: { readonly peer: NodeId; readonly state: LinkState }[] = []
  #durable = 0
  #answers: { readonly ask: number; readonly answer: Answer }[] = []
  #applied: Index | undefined
  #saved: SnapshotPoint[] = []
  #dirty = true

  #effects: Effects | undefined
  #deadline: number | undefined
  #identity: { readonly incarnation: string; readonly genesis: string; readonly boot: number }
  #error: RaftkitError | undefined

  constructor(parts: ReplicaParts, pending: Pending, host: ReplicaHost) {
    const { group, protocol, log, machine, environment, applied } = parts
    // Where members sign, they agree on when: the protocol asks for each.
    const never = { everyEntries: Number.POSITIVE_INFINITY, everyBytes: Number.POSITIVE_INFINITY, expansion: 0 }
    const policy = parts.signatures ? never : parts.policy
    this.group = group
    this.pending = pending
    this.seeds = randomSeeds(environment)
    this.#parts = parts
    this.#protocol = protocol
    this.#host = host
    this.#identity = protocol.status()
    const { incarnation, boot } = this.#identity
    const events: ApplierEvents = {
      applied: (from, to, bytes, milliseconds) => {
        this.#applied = to
        this.#wake()
        this.snapshots.applied(to - from + 1, bytes)
        host.tell(group, { type: 'applied', from, to, milliseconds })
      },
      restored: () => this.snapshots.restored(),
      failed: (error) => this.fail(error),
    }
    this.applier = new Applier(machine, log, environment, applied, events, () => checksumSeed(this.genesis, group))
    if (parts.signatures) this.applier.answers = new Answers()
    const identity = `${incarnation.slice(0, 8)}-${boot}`
    this.snapshots = new Snapshots(machine, parts.snapshots, environment, policy, identity, {
      between: (freeze, fail) => this.applier.between(0, () => freeze(this.applier), fail),
      at: (index, freeze, fail) => this.applier.at(index, () => freeze(this.applier), fail),
      taken: (snapshot) => {
        this.#saved.push(snapshot)
        this.#wake()
      },
      failed: (error) => this.fail(error),
      tell: (event) => host.tell(group, event),
    })
    const { snapshot } = protocol.status()
    if (snapshot) this.snapshots.inForce(snapshot)
    this.#blobs = new Blobs(
      parts.snapshots,
      () => this.snapshots.names(),
      (name) => check(name, parts.snapshots),
    )
  }

  get incarnation(): string {
    return this.#identity.incarnation
  }

  /** '' before founding. */
  get genesis(): string {
    return this.#identity.genesis
  }

  get error(): RaftkitError | undefined {
    return this.#error
  }

  /** When `time` is due; undefined: never. */
  get deadline(): number | undefined {
    return this.#error ? undefined : this.#deadline
  }

  /** Something waits for a turn. */
  get dirty(): boolean {
    return this.#dirty && !this.#error
  }

  /** A turn was had whose outcome is not settled. */
  get unsettled(): boolean {
    return this.#effects !== undefined
  }

  status(): Status {
    return this.#protocol.status(this.#parts.environment.now())
  }

  get writes(): { readonly waiting: number; readonly oldestAge: number } {
    const oldest = this.#writes[0]
    return { waiting: this.#writes.length, oldestAge: oldest ? this.#parts.environment.now() - oldest.at : 0 }
  }

  encode(message: unknown): readonly Uint8Array[] {
    return this.#protocol.encode(message)
  }

  describe(message: unknown): MessageSummary | undefined {
    return this.#protocol.describe?.(message)
  }

  receive(lane: Lane, message: Received): void {
    this.#inbox[lane].push(message)
    this.#wake()
  }

  link(peer: NodeId, state: LinkState): void {
    this.#links.push({ peer, state })
    this.#wake()
  }

  #wake(): void {
    this.#dirty = true
    this.#host.wake()
  }

  /** A call of a client waits to be placed. */
  called(): void {
    this.#wake()
  }

  /** Places `data` in the log once, and resolves with what the machine made of it. */
  propose(data: Uint8Array, options?: CallOptions): Promise<Applied> {
    return this.pending.call(new Proposal(data, this), options)
  }

  /** What a client outside signed: executed once, however often it is submitted. */
  submit(request: Uint8Array, options?: CallOptions): Promise<Submitted> {
    return this.pending.call(new Submission(request, this), options)
  }

  /** What convinces others that the record at `index` was committed. */
  receipt(index: Index): Uint8Array | undefined {
    return this.#protocol.receipt?.(index)
  }

  /** As `propose`, for a caller that is no promise and gives up by itself. Throws what refuses it at once. */
  place(data: Uint8Array, caller: Caller<Applied>): Placement {
    return this.pending.open(new Proposal(data, this), caller, forEver)
  }

  /**
   * Steps all that arrived, takes once and starts the write. Returns the messages that may leave.
   * `time`: the deadline has come; `stalled`: for so many milliseconds the process stood still.
   */
  turn(now: number, time: { readonly stalled: number } | undefined): readonly Outgoing[] {
    if (this.#error) return []
    this.#dirty = false
    try {
      this.#stepAll(now)
      if (time) this.#step(time.stalled > 0 ? { type: 'time', stalled: time.stalled } : { type: 'time' }, now)
      const effects = this.#protocol.take(now)
      this.#effects = effects
      this.#deadline = effects.deadline
      if (effects.write) this.#write(effects.write, now)
      const { ready, dropped } = this.#outbox.release(effects.messages)
      if (dropped > 0)
        this.#warn('DISK_SLOW', `the disk is so slow that ${dropped} messages which waited for it were given up`)
      return this.#error ? [] : ready
    } catch (error) {
      this.fail(failure(error, 'INVARIANT', 'the protocol stopped'))
      return []
    }
  }

  /** The rest of the turn, after the frames were handed over. */
  settle(): void {
    const effects = this.#effects
    this.#effects = undefined
    if (!effects || this.#error) return
    for (const what of effects.happened) this.#happened(what)
    if (effects.happened.length > 0 && (this.genesis === '' || effects.happened.some(changesIdentity))) {
      this.#identity = this.#protocol.status()
      this.#host.changed()
    }
    this.pending.settle(effects.settled)
    // The machine must not run past the entry behind which it is to be written down.
    const isTaking = ({ type }: Ask): boolean => type === 'takeSnapshot'
    for (const ask of effects.asks.filter(isTaking)) if (!this.#error) this.#ask(ask)
    if (effects.apply) this.applier.apply(effects.apply)
    for (const ask of effects.asks) if (!isTaking(ask) && !this.#error) this.#ask(ask)
  }

  /** Stops visibly: nothing leaves from now on, every call is told, and the host hears of it. */
  fail(error: RaftkitError): void {
    if (this.#error) return
    this.#error = error
    this.#outbox.clear()
    void this.applier.stop(error)
    this.snapshots.close(error)
    this.pending.close(error.code, `this node has stopped (${error.message})`, error)
    this.#host.failed(this, error)
  }

  /** Ends all work and closes the log; resolves when nothing of it is under way. Idempotent. */
  async close(reason: RaftkitError): Promise<void> {
    this.#error ??= reason
    this.#outbox.clear()
    this.pending.close(reason.code, 'this node was closed', reason)
    this.snapshots.close(reason)
    this.#blobs.close()
    await Promise.all([this.applier.stop(reason), this.#parts.log.close()])
  }

  #stepAll(now: number): void {
    const { control, bulk } = this.#inbox
    if (control.length + bulk.length > 0) this.#inbox = { control: [], bulk: [] }
    for (const message of control) this.#stepMessage(message, 'control', now)
    for (const message of bulk) this.#stepMessage(message, 'bulk', now)
    for (const { peer, state } of this.#links.splice(0)) this.#step({ type: 'link', peer, state }, now)
    if (this.#durable > this.#outbox.durable) {
      this.#outbox.advance(this.#durable)
      this.#step({ type: 'durable', write: this.#durable }, now)
    }
    for (const { ask, answer } of this.#answers.splice(0)) {
      this.#step({ type: 'answer', ask, answer }, now)
      if (answer.type === 'takeSnapshot') this.snapshots.told(answer.snapshot.name)
    }
    if (this.#applied !== undefined) this.#step({ type: 'applied', index: this.#applied }, now)
    this.#applied = undefined
    for (const { name, index, bytes } of this.#saved.splice(0)) {
      this.#step({ type: 'snapshot', name, index, bytes }, now)
      this.snapshots.told(name)
    }
    for (const event of this.pending.place()) this.#step(event, now)
  }

  #stepMessage({ from, genesis, bytes }: Received, lane: Lane, now: number): void {
    let message: unknown
    try {
      message = this.#protocol.decode(bytes)
    } catch (error) {
      const { code, message: reason } = failure(error, 'MALFORMED', 'a message could not be read')
      this.#host.tell(this.group, { type: 'refused', peer: from.id, code, reason })
      return
    }
    if (this.#host.detail) {
      const summary = this.describe(message)
      if (summary) this.#host.tell(this.group, { type: 'received', from: from.id, lane, message: summary })
    }
    this.#step({ type: 'message', from, genesis, message }, now)
  }

  #step(event: ProtocolEvent, now: number): void {
    this.#protocol.step(event, now)
  }

  #write({ id, change }: NonNullable<Effects['write']>, now: number): void {
    this.#writes.push({ id, at: now })
    if (this.#host.detail) this.#host.tell(this.group, { type: 'write', write: id, change })
    this.#parts.log.write(change).then(
      () => this.#written(id),
      (error) => this.fail(storageFailure(error)),
    )
  }

  #written(id: number): void {
    let at = 0
    while (this.#writes[0] && this.#writes[0].id <= id) at = this.#writes.shift()!.at
    if (this.#error) return
    this.#durable = Math.max(this.#durable, id)
    const milliseconds = this.#parts.environment.now() - at
    this.#host.tell(this.group, { type: 'durable', write: id, milliseconds })
    this.#wake()
  }

  #happened(what: Happening): void {
    if (what.type === 'snapshot' && (what.step === 'taken' || what.step === 'installed'))
      this.snapshots.inForce(what.snapshot)
    this.#host.tell(this.group, what)
  }

  #ask(ask: Ask): void {
    const { log, machine, snapshots } = this.#parts
    const answer = (work: Promise<Answer>): void =>
      void work.then(
        (answer) => this.#answer(ask.id, answer),
        (error) => this.fail(storageFailure(error)),
      )
    switch (ask.type) {
      case 'readLog':
        answer(answered(log.read(ask.from, ask.to, ask.maxBytes).then((run) => ({ type: 'readLog', run }))))
        break
      case 'restore': {
        const load = (): Promise<void> => restore(machine, snapshots, ask.snapshot.name)
        this.applier.restore(ask.snapshot, load, () => {
          this.#applied = undefined // what was applied before is not news any more
          this.#answer(ask.id, { type: 'restore' })
        })
        break
      }
      case 'takeSnapshot':
        answer(
          this.snapshots
            .takeAt(ask.index)
            .then((snapshot) => (snapshot ? { type: 'takeSnapshot', snapshot } : { type: 'failed', code: 'MISSING' })),
        )
        break
      case 'sign':
      case 'verify':
        carryOut(
          ask,
          this.#parts.signatures,
          (answer) => this.#answer(ask.id, answer),
          (error) => this.fail(error),
        )
        break
      case 'retain':
        this.#blobs.retain(ask.names).catch((error) => this.fail(storageFailure(error)))
        break
      default:
        answer(this.#blobs.carryOut(ask))
    }
  }

  #answer(ask: number, answer: Answer): void {
    this.#answers.push({ ask, answer })
    this.#wake()
  }

  #warn(code: string, reason: string): void {
    this.#host.tell(this.group, { type: 'warning', code, reason })
  }
}

const forEver: CallOptions = { timeout: Number.POSITIVE_INFINITY }

/** The machine takes over what the blob holds. */
export function restore(machine: StateMachine, store: SnapshotStore, name: string): Promise<void> {
  return machine.restore(unsealed(name, store))
}

function changesIdentity({ type }: Happening): boolean {
  return (
    type === 'founded' || type === 'configuration' || type === 'truncated' || type === 'snapshot' || type === 'removed'
  )
}
