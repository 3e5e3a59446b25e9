import type {
  Environment,
  GroupId,
  Happening,
  Index,
  Lane,
  LinkState,
  LogWrite,
  MessageSummary,
  NodeId,
  RaftkitError,
  SnapshotPoint,
} from '@raftkit/contract'

/** What the runtime itself has to tell; the protocol's own events are contract's `Happening`. */
export type RuntimeEvent =
  /** Storage open, log replayed, transport reachable. */
  | { readonly type: 'started'; readonly incarnation: string; readonly boot: number; readonly last: Index }
  /** For the first time, a linearizable read went through this node. */
  | { readonly type: 'ready' }
  /** The replica failed and does nothing any more. */
  | { readonly type: 'stopped'; readonly error: RaftkitError }
  | { readonly type: 'closed' }
  /** The machine holds `from` … `to`; `milliseconds` is what `apply` took. */
  | { readonly type: 'applied'; readonly from: Index; readonly to: Index; readonly milliseconds: number }
  /** A write and all before it are durable; `milliseconds` since it was issued. */
  | { readonly type: 'durable'; readonly write: number; readonly milliseconds: number }
  /** A snapshot of the own machine: begun, committed to the store, or given up (to be tried again later). */
  | {
      readonly type: 'snapshotting'
      readonly step: 'begun' | 'failed'
      readonly index: Index
      readonly reason?: string
    }
  | { readonly type: 'saved'; readonly snapshot: SnapshotPoint; readonly milliseconds: number }
  | { readonly type: 'link'; readonly peer: NodeId; readonly state: LinkState }
  /** A peer introduced itself and was let in. */
  | { readonly type: 'hello'; readonly peer: NodeId; readonly incarnation: string; readonly machineVersion: number }
  /** A hello or a frame was not let in. */
  | { readonly type: 'refused'; readonly peer?: NodeId; readonly code: string; readonly reason: string }
  /** Messages were given up, as a network might: the protocol sends again. */
  | { readonly type: 'dropped'; readonly what: 'frame' | 'message'; readonly peer: NodeId; readonly reason: string }
  /** The process stood still for about this long. */
  | { readonly type: 'stalled'; readonly milliseconds: number }
  /** Nothing is wrong yet, but somebody should look. */
  | { readonly type: 'warning'; readonly code: string; readonly reason: string }
  /** A message leaves in a frame, or has come in one. Only for who asks for detail; see `Observer`. */
  | { readonly type: 'sent'; readonly to: NodeId; readonly lane: Lane; readonly message: MessageSummary }
  | { readonly type: 'received'; readonly from: NodeId; readonly lane: Lane; readonly message: MessageSummary }
  /** A write is issued: records from `at` on, the state, or a compaction. Only for who asks for detail. */
  | { readonly type: 'write'; readonly write: number; readonly change: LogWrite }
  /** Only in `events()`: so many events did not fit the buffer. */
  | { readonly type: 'missed'; readonly count: number }

interface Stamp {
  /** Milliseconds of the environment's monotonic clock. */
  readonly at: number
  readonly node: NodeId
  readonly group: GroupId
}

/** Everything that happens in a node, as the one observer sees it. */
export type NodeEvent = Stamp & (Happening | RuntimeEvent)

export type NodeEventType = NodeEvent['type']
export type NodeEventOf<T extends NodeEventType> = Extract<NodeEvent, { readonly type: T }>

/** With `detail`, it is also told of each message and each write: `sent`, `received`, `write`. */
export interface Observer {
  (event: NodeEvent): void
  readonly detail?: boolean
}

const detailed: ReadonlySet<NodeEventType> = new Set<NodeEventType>(['sent', 'received', 'write'])

/**
 * Where a node tells what happened. Observers are called synchronously, in the turn in which it happened, and cannot
 * disturb it: one that throws costs a `warning`, nothing else.
 */
export class EventHub {
  readonly #environment: Environment
  readonly #node: NodeId
  readonly #observers = new Set<Observer>()
  readonly #detailed = new Set<Observer>()
  readonly #closers = new Set<() => void>()
  #warning = false

  constructor(environment: Environment, node: NodeId) {
    this.#environment = environment
    this.#node = node
  }

  /** Returns the function that ends it. */
  observe(observer: Observer): () => void {
    // A function given twice is two observers, so that each can end on its own.
    const own: Observer = (event) => observer(event)
    this.#observers.add(own)
    if (observer.detail) this.#detailed.add(own)
    return () => {
      this.#observers.delete(own)
      this.#detailed.delete(own)
    }
  }

  /** Somebody wants to be told of each message and write: only then they are worth describing. */
  get detail(): boolean {
    return this.#detailed.size > 0
  }

  on<T extends NodeEventType>(type: T | '*', listener: (event: NodeEventOf<T>) => void): () => void {
    const hear: Observer = (event) => {
      if (type === '*' || event.type === type) listener(event as NodeEventOf<T>)
    }
    return this.observe(type !== '*' && detailed.has(type) ? Object.assign(hear, { detail: true }) : hear)
  }

  emit(group: GroupId, what: Happening | RuntimeEvent): void {
    if (this.#observers.size === 0) return
    const event: NodeEvent = { at: this.#environment.now(), node: this.#node, group, ...what }
    for (const observer of detailed.has(what.type) ? this.#detailed : this.#observers) {
      try {
        observer(event)
      } catch (error) {
        this.#failed(group, error)
      }
    }
  }

  #failed(group: GroupId, error: unknown): void {
    if (this.#warning) return // the one who throws listens to warnings, too
    this.#warning = true
    this.emit(group, { type: 'warning', code: 'LISTENER_FAILED', reason: `an event listener threw: ${String(error)}` })
    this.#warning = false
  }

  /** Events from now on. Holds at most `buffer` of them; what did not fit is told by one `missed` at its place. */
  stream(buffer: number, signal?: AbortSignal): AsyncIterableIterator<NodeEvent> {
    const held: NodeEvent[] = []
    const waiting: ((result: IteratorResult<NodeEvent, undefined>) => void)[] = []
    let lost: (NodeEvent & { readonly type: 'missed' }) | undefined
    let ended = false

    const push = (event: NodeEvent): void => {
      const next = waiting.shift()
      if (next) {
        next({ value: event, done: false })
        return
      }
      if (held.length >= buffer) {
        const { at, node, group } = event
        lost = { at, node, group, type: 'missed', count: (lost?.count ?? 0) + 1 }
        return
      }
      if (lost) held.push(lost)
      lost = undefined
      held.push(event)
    }
    const stop = this.observe(push)
    const end = (): void => {
      ended = true
      stop()
      this.#closers.delete(end)
      signal?.removeEventListener('abort', end)
      for (const next of waiting.splice(0)) next({ value: undefined, done: true })
    }
    this.#closers.add(end)
    if (signal?.aborted) end()
    else signal?.addEventListener('abort', end)

    return {
      [Symbol.asyncIterator]() {
        return this
      },
      next() {
        const event = held.shift() ?? lost
        if (event === lost) lost = undefined
        if (event) return Promise.resolve({ value: event, done: false })
        if (ended) return Promise.resolve({ value: undefined, done: true })
        return new Promise((resolve) => waiting.push(resolve))
      },
      return() {
        held.length = 0
        end()
        return Promise.resolve({ value: undefined, done: true })
      },
    }
  }

  /** Ends every stream, after what they hold. */
  close(): void {
    for (const end of [...this.#closers]) end()
  }
}
