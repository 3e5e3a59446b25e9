import { crc32 } from 'node:zlib'
import {
  type Lane,
  type LinkState,
  type NodeId,
  type Peer,
  RaftkitError,
  type Receiver,
  type Transport,
} from '@raftkit/contract'

/** What all parties of one test have said, so that whatever is heard can be held against it. */
export class Ledger {
  readonly #said = new Set<string>()

  write(kind: string, bytes: Uint8Array): void {
    this.#said.add(`${kind} ${keyOf(bytes)}`)
  }

  has(kind: string, bytes: Uint8Array): boolean {
    return this.#said.has(`${kind} ${keyOf(bytes)}`)
  }
}

export interface PartyOptions {
  readonly cluster?: string
  /** The name under which others admit it. Default: its id. */
  readonly knownAs?: NodeId
  /** False: frames that were heard are counted only. */
  readonly keeps?: boolean
}

const follows: Readonly<Record<LinkState, readonly LinkState[]>> = {
  down: ['up'],
  up: ['full', 'down'],
  full: ['up', 'down'],
}

/** A host as a transport sees it: it says hello, admits its own cluster, writes down what it hears, and what it should never have heard. */
export class Party implements Receiver {
  readonly id: NodeId
  readonly knownAs: NodeId
  readonly cluster: string
  readonly transport: Transport
  readonly heard: { readonly from: NodeId; readonly frame: Uint8Array }[] = []
  heardCount = 0
  /** Each change, as `peer state`. */
  readonly links: string[] = []
  /** Under which name, and from which hello. */
  readonly admitted: { readonly id: NodeId; readonly hello: string }[] = []
  /** What no transport may do. */
  readonly faults: string[] = []
  admitting = true
  greeting = true
  refusals = 0
  /** A part of the hello that changes with each call, and what pads it. */
  hellos = 0
  padding = ''
  address: string | undefined
  /** Set once `close` has resolved. */
  closed = false
  readonly #keeps: boolean
  readonly #ledger: Ledger
  readonly #states = new Map<NodeId, LinkState>()
  readonly #keys = new Set<string>()
  readonly #held: { readonly what: string; readonly bytes: Uint8Array; readonly key: string }[] = []

  constructor(id: NodeId, transport: Transport, ledger: Ledger, options: PartyOptions) {
    this.id = id
    this.knownAs = options.knownAs ?? id
    this.cluster = options.cluster ?? 'c'
    this.transport = transport
    this.#keeps = options.keeps ?? true
    this.#ledger = ledger
  }

  get peer(): Peer {
    return this.address === undefined ? { id: this.id } : { id: this.id, address: this.address }
  }

  hello(): Uint8Array {
    this.#called('hello')
    if (!this.greeting) throw new Error('this host has nothing to say yet')
    const bytes = new TextEncoder().encode([this.cluster, this.knownAs, ++this.hellos, this.padding].join('/'))
    this.#ledger.write('hello', bytes)
    this.#hold('a hello that was given', bytes)
    return bytes
  }

  admit(hello: Uint8Array): NodeId {
    this.#called('admit')
    if (!this.#ledger.has('hello', hello)) this.#fault(`admit got a hello of ${hello.length} bytes that nobody said`)
    this.#hold('a hello that was received', hello)
    const text = new TextDecoder().decode(hello)
    const [cluster, id] = text.split('/')
    if (!this.admitting || cluster !== this.cluster || !id) {
      this.refusals++
      throw new RaftkitError('REFUSED', `this is ${this.cluster}/${this.id}, and you are ${cluster}/${id}`)
    }
    this.admitted.push({ id, hello: text })
    return id
  }

  frame(from: NodeId, frame: Uint8Array): void {
    this.#called(`frame from ${from}`)
    if (!this.#knows(from)) this.#fault(`a frame came from ${from}, whom nobody admitted`)
    if (!(frame instanceof Uint8Array)) this.#fault('a frame that is no Uint8Array')
    else if (!this.#ledger.has(`${from}>${this.knownAs}`, frame))
      this.#fault(`a frame of ${frame.length} bytes that ${from} never sent to ${this.id}`)
    this.heardCount++
    if (!this.#keeps) return
    this.heard.push({ from, frame })
    this.#keys.add(keyOf(frame))
    this.#hold('a frame that was received', frame)
  }

  link(peer: NodeId, state: LinkState): void {
    this.#called(`link ${peer} ${state}`)
    if (!this.#knows(peer)) this.#fault(`link speaks of ${peer}, whom nobody admitted`)
    const before = this.state(peer)
    if (!follows[before].includes(state)) this.#fault(`link says that ${peer} is ${state} after ${before}`)
    this.#states.set(peer, state)
    this.links.push(`${peer} ${state}`)
  }

  /** The last that was said of the link. */
  state(peer: NodeId | Party): LinkState {
    const id = typeof peer === 'string' ? peer : peer.knownAs
    return this.#states.get(id) ?? 'down'
  }

  /** Never throws, whatever state the transport is in: a throw is a fault. */
  send(to: NodeId | Party, parts: readonly Uint8Array[], lane: Lane): void {
    const id = typeof to === 'string' ? to : to.knownAs
    const frame = Buffer.concat(parts)
    this.#ledger.write(`${this.knownAs}>${id}`, frame)
    if (this.#keeps) for (const part of parts) this.#hold('a part that was sent', part)
    try {
      const answer: unknown = this.transport.send(id, parts, lane)
      if (typeof (answer as { then?: unknown } | undefined)?.then === 'function') this.#fault('send returned a promise')
    } catch (error) {
      this.#fault(`send to ${id} threw ${String(error)}`)
    }
  }

  /** Somebody outside of this process is going to send this. */
  expects(from: NodeId, frame: Uint8Array): void {
    this.#ledger.write(`${from}>${this.knownAs}`, frame)
  }

  setPeers(...peers: readonly (Peer | Party)[]): void {
    this.transport.setPeers(peers.map((peer) => (peer instanceof Party ? peer.peer : peer)))
  }

  hears(bytes: Uint8Array): boolean {
    return this.#keys.has(keyOf(bytes))
  }

  /** Bytes that were given or received and are no longer what they were. */
  altered(): string[] {
    return this.#held
      .filter(({ bytes, key }) => keyOf(bytes) !== key)
      .map(({ what }) => `${what} was changed afterwards`)
  }

  #knows(peer: NodeId): boolean {
    return this.admitted.some(({ id }) => id === peer)
  }

  #hold(what: string, bytes: Uint8Array): void {
    this.#held.push({ what, bytes, key: keyOf(bytes) })
  }

  #called(what: string): void {
    if (this.closed) this.#fault(`${what} was called after close had resolved`)
  }

  #fault(what: string): void {
    if (this.faults.length < 5) this.faults.push(`${this.id}: ${what}`)
  }
}

const keyOf = (bytes: Uint8Array): string => `${bytes.length}:${crc32(bytes)}`
