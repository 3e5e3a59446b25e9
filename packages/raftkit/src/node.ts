import {
  type ErrorCode,
  type Happening,
  type Index,
  isRaftkitError,
  isVoter,
  type NodeId,
  RaftkitError,
  type SnapshotPoint,
  type StateMachine,
} from '@raftkit/contract'
import type { Applied } from './applier.ts'
import {
  type CallOptions,
  type CommandCalls,
  commandCalls,
  type QueryCalls,
  type QueryOptions,
  queryCalls,
} from './calls.ts'
import { type ClientSession, placingSession } from './client-session.ts'
import { EventHub, type NodeEvent, type NodeEventOf, type NodeEventType, type RuntimeEvent } from './events.ts'
import { failure } from './failure.ts'
import { Host } from './host.ts'
import { logTo } from './logger.ts'
import type { AnyMachine } from './machine.ts'
import { type Members, members } from './members.ts'
import { exposition, type Metric, Metrics, proposalMeter } from './metrics.ts'
import { isName, nameRule } from './names.ts'
import { openReplica } from './open.ts'
import { isDefined, type NodeOptions, type Settings, settings } from './options.ts'
import { Reads, sleep } from './reads.ts'
import type { Replica } from './replica.ts'
import { type ReplicatedMachine, replicate } from './replicate.ts'
import type { NodeStatus } from './status.ts'
import type { Submitted } from './submission.ts'
import { type Trace, tracing } from './tracing.ts'
import { upgradeMachine } from './upgrade.ts'

/** The one group of a host without Multi-Raft. */
const group = 'main'

/** One member of a cluster, in this process. */
export interface Node<M extends AnyMachine | StateMachine = AnyMachine> extends AsyncDisposable {
  readonly id: NodeId
  readonly cluster: string
  /** The machine's commands. On any node: forwarded to the leader, applied exactly once. */
  readonly commands: M extends AnyMachine ? CommandCalls<M> : Readonly<Record<never, never>>
  /** The machine's queries, on this node's replica. Linearizable unless another consistency is asked for. */
  readonly queries: M extends AnyMachine ? QueryCalls<M> : Readonly<Record<never, never>>
  /**
   * Places bytes in the log once, and resolves with what `apply` made of them. For state machines of your own: no session, so whether to
   * try again after an unknown outcome is yours to decide. Rejects with `outcome`.
   */
  propose(data: Uint8Array, options?: CallOptions): Promise<Applied>
  /**
   * What a client outside signed, in the encoding of a protocol whose members sign: executed once, however often and by whomever it is
   * submitted. Resolves with the place and the result of each operation. Rejects `REFUSED` (no request, or not signed), `TOO_LARGE`,
   * `OVERLOADED`, `UNKNOWN_OUTCOME` (it, or another one under its numbers, was executed so long ago that its results are not kept any more);
   * `INVALID_OPTION` on other protocols.
   */
  submit(request: Uint8Array, options?: CallOptions): Promise<Submitted>
  /** What convinces whoever knows the members' keys that the entry at `index` was committed; undefined: it is not, or no longer known, or the protocol has no such thing. */
  receipt(index: Index): Uint8Array | undefined
  /** `machine.query(question)` of a state machine of your own, once the consistency asked for is given. */
  query(question: unknown, options?: QueryOptions): Promise<unknown>
  /** Resolves when this node is a member and a linearizable read went through it. Waits for ever unless given a timeout or signal. */
  ready(options?: CallOptions): Promise<void>
  /** Synchronous, also after a failure. */
  status(): NodeStatus
  readonly members: Members
  /**
   * Hands leadership to `to`, or to the voter that is furthest. On any node: the leader is told.
   * Resolves with the new leader; rejects if it did not come to that.
   */
  transferLeadership(to?: NodeId, options?: CallOptions): Promise<NodeId>
  /** Takes a snapshot now, and resolves once one that holds what is applied by now is in force. */
  snapshot(options?: CallOptions): Promise<SnapshotPoint>
  /** SHA-256 of the whole machine, and the last entry it holds. Only for machines of `defineMachine`. */
  hash(): Promise<{ readonly index: Index; readonly hash: Uint8Array }>
  /** Calls `listener` for every event of `type`, or for all with `'*'`. Returns the function that ends it. */
  on<T extends NodeEventType>(type: T | '*', listener: (event: NodeEventOf<T>) => void): () => void
  /** Events from now on. Holds at most `buffer` (1,024); what did not fit is told by one `missed`. */
  events(options?: { readonly signal?: AbortSignal; readonly buffer?: number }): AsyncIterableIterator<NodeEvent>
  metrics(): readonly Metric[]
  /** The metrics as text, for a Prometheus scrape. */
  prometheus(): string
  /**
   * Refuses new work (`CLOSED`), hands leadership over, within `closeTimeout`, ends what is pending (`outcome` unknown where it was placed),
   * closes transport, then storage. Idempotent.
   */
  close(): Promise<void>
}

/**
 * Starts a member: opens the storage, restores and replays, and makes itself reachable. Resolves before there is a leader; see `ready`. Every ten seconds
 * that it takes are a `warning`, `SLOW_START`, which says what it waits for.
 *
 * Rejects `INVALID_OPTION`, `CONTRACT_MISMATCH`, `LOCKED`, `DAMAGED`, `REFUSED` (the data is of another node or cluster), `UNKNOWN_FORMAT`,
 * `MACHINE_MISMATCH`, `TRANSPORT_FAILED`; storage and transport are closed then.
 */
export async function createNode<const M extends AnyMachine | StateMachine>(options: NodeOptions<M>): Promise<Node<M>> {
  const checked = settings(options)
  const node = new RunningNode(checked, options)
  try {
    await node.start()
  } catch (error) {
    await node.abandon(error)
    throw error
  }
  return node as unknown as Node<M>
}

class RunningNode implements Node {
  readonly id: NodeId
  readonly cluster: string
  readonly commands: Node['commands']
  readonly queries: Node['queries']
  readonly #settings: Settings
  readonly #machine: StateMachine
  readonly #replicated: ReplicatedMachine | undefined
  readonly #hub: EventHub
  readonly #metrics: Metrics
  readonly #host: Host
  readonly #trace: Trace = tracing()
  #replica!: Replica
  #reads!: Reads
  #members!: Members
  #session: ClientSession | undefined
  #state: NodeStatus['state'] = 'running'
  #waitsFor = 'the storage to open, the snapshot to be restored and the log to be read'
  #wasReady = false
  #closing: Promise<void> | undefined

  constructor(checked: Settings, options: NodeOptions<AnyMachine | StateMachine>) {
    const { id, cluster, environment, storage, transport, protocol, backlogBytes, electionTimeout } = checked
    this.id = id
    this.cluster = cluster
    this.#settings = checked
    const { machine } = options
    this.#replicated = isDefined(machine) ? replicate(machine) : undefined
    this.#machine = this.#replicated ?? (machine as StateMachine)
    this.#hub = new EventHub(environment, id)
    this.#metrics = new Metrics({ cluster, node: id, group })
    this.#hub.observe(this.#metrics.see)
    if (options.logger) this.#hub.observe(logTo(options.logger, cluster))
    if (options.observer) this.#hub.observe(options.observer)
    this.#hub.on('stopped', () => {
      this.#state = 'failed'
      // Not before every stream has got this event.
      void Promise.resolve().then(() => this.#hub.close())
    })
    this.#host = new Host({
      id,
      cluster,
      protocol: protocol.name,
      machineVersion: this.#machine.version,
      environment,
      storage,
      transport,
      hub: this.#hub,
      backlogBytes,
      stallThreshold: electionTimeout / 4,
    })
    const none = Object.freeze({})
    this.commands = isDefined(machine) ? commandCalls(machine, this.#command) : (none as Node['commands'])
    this.queries = isDefined(machine)
      ? queryCalls(machine, (question, how) => this.#query(question, how, question.name))
      : (none as Node['queries'])
  }

  /** A disk or a socket that hangs fails nothing: so that somebody looks, it is told what the start waits for. */
  async start(): Promise<void> {
    const { environment } = this.#settings
    let cancel = (): void => {}
    const watch = (): void => {
      cancel = environment.at(environment.now() + slowStart, () => {
        const reason = `this node is still starting: it waits for ${this.#waitsFor}`
        this.#tell({ type: 'warning', code: 'SLOW_START', reason })
        watch()
      })
    }
    watch()
    try {
      await this.#start()
    } finally {
      cancel()
    }
  }

  async #start(): Promise<void> {
    const { environment, contacts, membership, timeout, leases, address, attemptTimeout, maxSessions } = this.#settings
    const host = this.#host
    const hub = this.#hub
    const replica = await openReplica(group, this.#settings, this.#machine, host)
    this.#replica = replica
    replica.meter = proposalMeter(this.#metrics)
    const measure = (mode: string, milliseconds: number): void => {
      this.#metrics.count('raft_reads_total', { mode })
      this.#metrics.observe('raft_read_duration_seconds', milliseconds)
    }
    this.#reads = new Reads(replica, this.#machine, environment, { timeout, leases }, measure)
    const { signs = false } = this.#settings.protocol
    this.#members = members({ host, replica, hub, environment, timeout, changeable: membership !== undefined, signs })
    if (this.#replicated) {
      this.#session = placingSession((data, caller) => replica.place(data, caller), {
        environment,
        applied: () => replica.applier.index,
        timeout,
        attemptTimeout,
        maxSessions,
      })
      upgradeMachine(this.#replicated, host, replica, hub)
    }
    this.#waitsFor = 'its first write to be durable'
    // The hello shows incarnation and boot, so they must be durable before anybody can see it.
    const durable = once(hub, (event) => event.type === 'durable')
    host.add(replica)
    await durable
    this.#waitsFor = 'the transport to listen'
    const { incarnation, boot, last, config, genesis } = replica.status()
    const own = config.members.find((member) => member.id === this.id && member.incarnation === incarnation)
    const at = address ?? own?.address
    await host.listen(at === undefined ? { id: this.id } : { id: this.id, address: at }, contacts)
    this.#tell({ type: 'started', incarnation, boot, last })
    if (genesis !== '') this.#compareMembers()
  }

  /** `start` failed. */
  async abandon(error: unknown): Promise<void> {
    await this.#host.close(failure(error, 'CLOSED', 'the node did not start')).catch(() => undefined)
    this.#state = 'closed'
    this.#hub.close()
  }

  readonly #command = (name: string, input: unknown, options?: CallOptions): Promise<unknown> =>
    this.#trace({ node: this.id, cluster: this.cluster, operation: 'command', name }, () =>
      this.#session!.call(name, input, options),
    )

  propose(data: Uint8Array, options?: CallOptions): Promise<Applied> {
    if (!(data instanceof Uint8Array))
      return Promise.reject(new RaftkitError('INVALID_VALUE', 'propose takes a Uint8Array', { outcome: 'refused' }))
    if (this.#replicated)
      return Promise.reject(
        new RaftkitError('INVALID_OPTION', 'a machine of defineMachine takes its commands by node.commands', {
          outcome: 'refused',
        }),
      )
    if (this.#closing) return Promise.reject(closed())
    return this.#trace({ node: this.id, cluster: this.cluster, operation: 'propose' }, () =>
      this.#replica.propose(data, options),
    )
  }

  submit(request: Uint8Array, options?: CallOptions): Promise<Submitted> {
    if (!(request instanceof Uint8Array))
      return Promise.reject(new RaftkitError('INVALID_VALUE', 'submit takes a Uint8Array', { outcome: 'refused' }))
    const { protocol } = this.#settings
    if (!protocol.signs)
      return Promise.reject(
        new RaftkitError('INVALID_OPTION', `submit takes signed requests, and ${protocol.name} knows none`, {
          outcome: 'refused',
        }),
      )
    if (this.#closing) return Promise.reject(closed())
    return this.#trace({ node: this.id, cluster: this.cluster, operation: 'submit' }, () =>
      this.#replica.submit(request, options),
    )
  }

  receipt(index: Index): Uint8Array | undefined {
    return this.#replica.receipt(index)
  }

  query(question: unknown, options?: QueryOptions): Promise<unknown> {
    if (this.#replicated)
      return Promise.reject(
        new RaftkitError('INVALID_OPTION', 'a machine of defineMachine answers by node.queries', {
          outcome: 'refused',
        }),
      )
    return this.#query(question, options)
  }

  #query(question: unknown, options?: QueryOptions, name?: string): Promise<unknown> {
    if (this.#closing) return Promise.reject(closed())
    const context = {
      node: this.id,
      cluster: this.cluster,
      operation: 'query',
      ...(name === undefined ? {} : { name }),
    } as const
    return this.#trace(context, () => this.#reads.query(question, options))
  }

  async ready(options: CallOptions = {}): Promise<void> {
    const { environment } = this.#settings
    const { signal, timeout = Number.POSITIVE_INFINITY } = options
    const deadline = environment.now() + timeout
    for (;;) {
      const left = deadline - environment.now()
      if (!(left > 0))
        throw new RaftkitError('TIMEOUT', 'the node did not become ready in time; status() tells what it waits for', {
          retryable: true,
        })
      try {
        await this.#reads.barrier({ timeout: Math.min(left, readyAttempt), ...(signal ? { signal } : {}) })
        const { config, incarnation } = this.#replica.status()
        if (config.members.some((member) => member.id === this.id && member.incarnation === incarnation)) break
      } catch (error) {
        if (!isRaftkitError(error) || !(error.retryable || waitable.has(error.code))) throw error
      }
      await sleep(environment, readyPause)
    }
    if (this.#wasReady) return
    this.#wasReady = true
    this.#tell({ type: 'ready' })
  }

  status(): NodeStatus {
    const replica = this.#replica
    const { waiting, oldestAge } = replica.writes
    const hellos = [...this.#host.hellos].filter(([id]) => this.#host.connected(id))
    return {
      ...replica.status(),
      cluster: this.cluster,
      group,
      state: this.#state,
      error: this.#state === 'failed' ? replica.error : undefined,
      machineApplied: replica.applier.index,
      machineVersion: this.#machine.version,
      links: Object.fromEntries(this.#host.links),
      hellos: Object.fromEntries(
        hellos.map(([id, { incarnation, machineVersion }]) => [id, { incarnation, machineVersion }]),
      ),
      waitingCalls: replica.pending.count,
      waitingWrites: waiting,
      oldestWriteAge: oldestAge,
    }
  }

  get members(): Members {
    return this.#members
  }

  transferLeadership(to?: NodeId, options?: CallOptions): Promise<NodeId> {
    if (to !== undefined && !isName(to))
      return Promise.reject(new RaftkitError('INVALID_OPTION', `a node's id is ${nameRule}`, { outcome: 'refused' }))
    return this.#trace({ node: this.id, cluster: this.cluster, operation: 'transfer' }, () =>
      this.#transfer(to, options),
    )
  }

  #transfer(to?: NodeId, options?: CallOptions): Promise<NodeId> {
    return this.#replica.pending.call<NodeId>(
      {
        effect: true,
        bytes: 0,
        event: (id) => ({ type: 'transfer', id, ...(to === undefined ? {} : { to }) }),
        accept: (settled, ending) => {
          if (settled.type === 'transferred') ending.done(settled.to)
        },
      },
      options,
    )
  }

  snapshot(options: CallOptions = {}): Promise<SnapshotPoint> {
    const { signal, timeout = this.#settings.timeout } = options
    const { protocol } = this.#settings
    return this.#trace({ node: this.id, cluster: this.cluster, operation: 'snapshot' }, () => {
      if (protocol.signs)
        return Promise.reject(
          new RaftkitError(
            'REFUSED',
            `the members of ${protocol.name} agree on where snapshots are taken: wait for the next`,
          ),
        )
      const { snapshot } = this.#replica.status()
      const { index } = this.#replica.applier
      if (snapshot && snapshot.index >= index) return Promise.resolve(snapshot)
      if (index === 0)
        return Promise.reject(
          new RaftkitError('REFUSED', 'nothing is applied yet, so there is nothing to take a snapshot of'),
        )
      return this.#within(this.#replica.snapshots.take(index), timeout, signal)
    })
  }

  async hash(): Promise<{ readonly index: Index; readonly hash: Uint8Array }> {
    const machine = this.#replicated
    if (!machine) throw new RaftkitError('INVALID_OPTION', 'only a machine of defineMachine has one encoding to hash')
    const { applier } = this.#replica
    const [index, hash] = await new Promise<[Index, Promise<Uint8Array>]>((resolve, reject) =>
      applier.between(0, () => resolve([applier.index, machine.hash()]), reject),
    )
    return { index, hash: await hash }
  }

  on<T extends NodeEventType>(type: T | '*', listener: (event: NodeEventOf<T>) => void): () => void {
    return this.#hub.on(type, listener)
  }

  events(options: { readonly signal?: AbortSignal; readonly buffer?: number } = {}): AsyncIterableIterator<NodeEvent> {
    return this.#hub.stream(options.buffer ?? 1024, options.signal)
  }

  metrics(): readonly Metric[] {
    return this.#metrics.read(this.status(), this.#host.sentBytes, this.#host.takeLag())
  }

  prometheus(): string {
    return exposition(this.metrics())
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    const failed = this.#state === 'failed'
    if (!failed) {
      this.#state = 'closing'
      await this.#handOver()
      this.#state = 'closed'
    }
    try {
      await this.#host.close(closed())
    } finally {
      this.#tell({ type: 'closed' })
      this.#hub.close()
    }
  }

  /** Best effort, bounded: what a crash would do, but faster for everybody else. */
  async #handOver(): Promise<void> {
    const { closeTimeout, electionTimeout, environment } = this.#settings
    if (closeTimeout === 0) return
    const deadline = environment.now() + closeTimeout
    const left = (): number => Math.max(1, deadline - environment.now())
    const { leader, role, config } = this.#replica.status()
    // The session would be evicted some day; its end is worth no more than a moment.
    if (this.#session && leader !== undefined)
      await this.#within(this.#session.close(), Math.min(left(), electionTimeout)).catch(() => undefined)
    const others = config.members.some((member) => member.id !== this.id && isVoter(member))
    if (role === 'leader' && others) await this.#transfer(undefined, { timeout: left() }).catch(() => undefined)
    this.#replica.pending.refuse('CLOSED', 'the node was closed')
  }

  /** Stops waiting for `work` after `timeout` milliseconds or when aborted; the work itself goes on. */
  #within<T>(work: Promise<T>, timeout: number, signal?: AbortSignal): Promise<T> {
    const { environment } = this.#settings
    return new Promise((resolve, reject) => {
      const give = (code: ErrorCode, sentence: string, cause?: unknown): void =>
        reject(new RaftkitError(code, sentence, { outcome: 'unknown', cause }))
      const abort = (): void => give('ABORTED', 'the caller gave up waiting', signal?.reason)
      const cancel = Number.isFinite(timeout)
        ? environment.at(environment.now() + timeout, () => give('TIMEOUT', 'no answer within the timeout'))
        : () => undefined
      const end = (): void => {
        cancel()
        signal?.removeEventListener('abort', abort)
      }
      work.then(resolve, reject).finally(end)
      if (signal?.aborted) abort()
      else signal?.addEventListener('abort', abort)
    })
  }

  #compareMembers(): void {
    const { founders } = this.#settings
    if (!founders) return
    const { config } = this.#replica.status()
    const listed = (peers: readonly { readonly id: NodeId; readonly address?: string }[]): string =>
      peers
        .map(({ id, address }) => `${id} ${address ?? ''}`)
        .sort()
        .join(', ')
    if (listed(founders) === listed(config.members)) return
    this.#tell({
      type: 'warning',
      code: 'MEMBERS_DIFFER',
      reason: `the option members says ${listed(founders)}, the log says ${listed(config.members)}; the log rules, mend the option`,
    })
  }

  #tell(event: Happening | RuntimeEvent): void {
    this.#hub.emit(group, event)
  }
}

const closed = (): RaftkitError => new RaftkitError('CLOSED', 'the node was closed', { outcome: 'refused' })

/** Milliseconds after which a start tells what it waits for, and again. */
const slowStart = 10_000
/** One attempt of `ready`, and the pause between two, in milliseconds. */
const readyAttempt = 5000
const readyPause = 25
const waitable: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'TIMEOUT',
  'UNKNOWN_OUTCOME',
  'NOT_A_MEMBER',
  'NO_LEADER',
  'REFUSED',
])

/** The first event that `wanted` accepts; rejects if the replica stops before. */
function once(hub: EventHub, wanted: (event: NodeEvent) => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = hub.observe((event) => {
      if (event.type === 'stopped') reject(event.error)
      else if (!wanted(event)) return
      else resolve()
      stop()
    })
  })
}
