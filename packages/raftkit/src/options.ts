import {
  type Environment,
  type Limits,
  type Membership,
  type NodeId,
  type Peer,
  type ProtocolKind,
  RaftkitError,
  type Signatures,
  type StateMachine,
  type Storage,
  type Timing,
  type Transport,
} from '@raftkit/contract'
import { raft } from '@raftkit/core'
import { platformEnvironment } from './environment.ts'
import type { Observer } from './events.ts'
import type { Logger } from './logger.ts'
import type { AnyMachine } from './machine.ts'
import { isName, nameRule } from './names.ts'
import type { SnapshotPolicy } from './snapshots.ts'

export interface NodeOptions<M extends AnyMachine | StateMachine> {
  /** This node's name, its own for ever. */
  readonly id: NodeId
  /** The cluster's name, the same on all members. */
  readonly cluster: string
  /** What `defineMachine` gives, or a state machine of your own. */
  readonly machine: M
  /**
   * Who founds the cluster, by id, and where to dial each: `{ n1: '10.0.0.1:7001', … }`. The same on all of them, and all must be up at the
   * first start. Read only while the storage is empty; after that the log rules, and another list is a `warning`.
   */
  readonly members?: Readonly<Record<NodeId, string>>
  /**
   * Wait to be added by a member, instead of founding. Read only while the storage is empty. `members` are then some of those that are
   * there, to be dialled: a node without an address, such as a page in a browser, is not found otherwise.
   */
  readonly join?: boolean
  /** Where others dial this node. Default: `members[id]`, then what the log says. */
  readonly address?: string
  /** The node's own from now on: `close()` closes it, and so does a `createNode` that fails. */
  readonly storage: Storage
  /** As `storage`. Where it listens is its own option; by default at the own address. */
  readonly transport: Transport
  /** How members change. Without it they are fixed, and a change is refused `MEMBERSHIP_FIXED`. */
  readonly membership?: Membership<never>
  /** Default: Raft, by `@raftkit/core`. */
  readonly protocol?: ProtocolKind
  /** This node's own key, and the rule by which members verify; for a protocol whose members sign, and for no other. */
  readonly signatures?: Signatures
  readonly timing?: Omit<Timing, 'leaseDrift'>
  readonly limits?: NodeLimits
  /** When snapshots are taken. `false`: only by `snapshot()`. */
  readonly snapshots?: SnapshotOptions | false
  /** Turns lease reads on. `drift`: the share by which clocks of members may run apart (0 … 0.5). */
  readonly leases?: { readonly drift: number }
  readonly sessions?: SessionOptions
  /** Milliseconds for a call that gives none itself. Default 30,000. */
  readonly timeout?: number
  /** Milliseconds that `close()` spends on handing leadership over, at most. Default 5,000. */
  readonly closeTimeout?: number
  /** pino, or anything of its shape. Silent by default. */
  readonly logger?: Logger
  /** Sees everything that happens, synchronously. */
  readonly observer?: Observer
  /** Clock, timers and randomness. Default: the platform's. */
  readonly environment?: Environment
}

export interface NodeLimits extends Omit<Limits, 'trailingEntries'> {
  /** Calls that may wait for an answer; more are refused `OVERLOADED`. Default 65,536. */
  readonly waitingCalls?: number
  /** Bytes of proposals that may wait. Default 64 MiB. */
  readonly waitingBytes?: number
  /** Bytes of received frames that may wait for a turn; beyond it, bulk is dropped. Default 64 MiB. */
  readonly backlogBytes?: number
}

export interface SnapshotOptions {
  /** After so many entries. Default 50,000. */
  readonly everyEntries?: number
  /** After so many bytes of entries. Default 64 MiB. */
  readonly everyBytes?: number
  /**
   * A snapshot larger than 1 MiB is not followed by another before the entries since then are so many times as large: writing states
   * down then costs the disk at most 1/expansion of what the log does, and the log grows to at most so many times the state. Default 4.
   */
  readonly expansion?: number
  /** Entries kept behind a snapshot, for members that lag a little. Default 10,000. */
  readonly trailingEntries?: number
}

/** Of the sessions that give exactly-once commands. */
export interface SessionOptions {
  /** Sessions the machine keeps; the longest unused one goes first. Default 10,000. */
  readonly maxSessions?: number
  /** Milliseconds until an attempt without an answer is followed by another. Default five election timeouts. */
  readonly attemptTimeout?: number
}

/** Options, checked and with their defaults. */
export interface Settings {
  readonly id: NodeId
  readonly cluster: string
  readonly founders: readonly Peer[] | undefined
  /** Whom to dial until the log says it. */
  readonly contacts: readonly Peer[]
  readonly address: string | undefined
  readonly storage: Storage
  readonly transport: Transport
  readonly membership: Membership<never> | undefined
  readonly protocol: ProtocolKind
  readonly signatures: Signatures | undefined
  readonly timing: Timing
  readonly electionTimeout: number
  readonly limits: Limits
  readonly waitingCalls: number
  readonly waitingBytes: number
  readonly backlogBytes: number
  readonly policy: SnapshotPolicy
  readonly leases: boolean
  readonly maxSessions: number
  readonly attemptTimeout: number
  readonly timeout: number
  readonly closeTimeout: number
  readonly environment: Environment
}

const MiB = 1024 * 1024

/** Throws `INVALID_OPTION`, with the option's name and what to do; `CONTRACT_MISMATCH` for adapters of another major. */
export function settings(options: NodeOptions<AnyMachine | StateMachine>): Settings {
  if (typeof options !== 'object' || options === null) throw invalid('createNode', 'takes an object of options')
  const { id, cluster, members, join = false, storage, transport, membership, leases, environment } = options
  if (!isName(id)) throw invalid('id', `must be ${nameRule}`)
  if (!isName(cluster)) throw invalid('cluster', `must be ${nameRule}`)
  checkMachine(options.machine)
  if (typeof join !== 'boolean') throw invalid('join', 'is true or false')
  const peers = founders(members)
  if (!join && !peers)
    throw invalid('members', "is missing: list the founders as { id: 'host:port' }, or say join: true")
  if (!join && peers && !peers.some((peer) => peer.id === id))
    throw invalid(
      'members',
      `does not list ${id} itself; add it, or say join: true to be added to a cluster that exists`,
    )
  const address = options.address ?? peers?.find((peer) => peer.id === id)?.address
  if (address !== undefined && (typeof address !== 'string' || address === ''))
    throw invalid('address', "must be a text such as 'host:port'")
  checkAdapter('storage', storage, ['groups', 'log', 'snapshots', 'destroy', 'close'])
  checkAdapter('transport', transport, ['start', 'send', 'setPeers', 'close'])
  if (!(transport.maxFrameBytes >= 65_536))
    throw invalid('transport', 'must carry frames of 65,536 bytes or more (maxFrameBytes)')
  if (membership !== undefined) checkMethods('membership', membership, ['isQuorum', 'begin', 'next'])
  if (environment !== undefined) checkMethods('environment', environment, ['now', 'wall', 'at', 'soon', 'random'])
  const protocol = options.protocol ?? (raft as ProtocolKind)
  checkMethods('protocol', protocol, ['open'])
  if (!isName(protocol.name)) throw invalid('protocol.name', `must be ${nameRule}`)
  const { signatures } = options
  if (signatures !== undefined) checkMethods('signatures', signatures, ['sign', 'verify'])
  if (protocol.signs && !(signatures?.key instanceof Uint8Array))
    throw invalid('signatures', `is missing: members of ${protocol.name} sign; give the node its key`)
  if (signatures !== undefined && !protocol.signs)
    throw invalid(
      'signatures',
      `is of no use: ${protocol.name} signs nothing; leave it out, or choose another protocol`,
    )
  if (leases !== undefined && !(leases.drift >= 0 && leases.drift <= 0.5))
    throw invalid('leases.drift', 'must be a share between 0 and 0.5')
  const snapshots = options.snapshots ?? {}
  const off = snapshots === false
  const { everyEntries, everyBytes, expansion, trailingEntries } = off ? {} : snapshots
  const { waitingCalls, waitingBytes, backlogBytes, ...limits } = options.limits ?? {}
  const electionTimeout = number('timing.electionTimeout', options.timing?.electionTimeout, 1000, 10)
  const { maxSessions, attemptTimeout } = options.sessions ?? {}
  return {
    id,
    cluster,
    founders: join ? undefined : peers,
    contacts: peers ?? [],
    address,
    storage,
    transport,
    membership,
    protocol,
    signatures,
    timing: leases ? { ...options.timing, leaseDrift: leases.drift } : { ...options.timing },
    electionTimeout,
    limits:
      trailingEntries === undefined
        ? limits
        : { ...limits, trailingEntries: number('snapshots.trailingEntries', trailingEntries, 0, 0) },
    waitingCalls: number('limits.waitingCalls', waitingCalls, 65_536, 1),
    waitingBytes: number('limits.waitingBytes', waitingBytes, 64 * MiB, 1),
    backlogBytes: number('limits.backlogBytes', backlogBytes, 64 * MiB, 65_536),
    policy: {
      everyEntries: off ? Number.POSITIVE_INFINITY : number('snapshots.everyEntries', everyEntries, 50_000, 1),
      everyBytes: off ? Number.POSITIVE_INFINITY : number('snapshots.everyBytes', everyBytes, 64 * MiB, 1),
      expansion: number('snapshots.expansion', expansion, 4, 0),
    },
    leases: leases !== undefined,
    maxSessions: number('sessions.maxSessions', maxSessions, 10_000, 1),
    attemptTimeout: number('sessions.attemptTimeout', attemptTimeout, 5 * electionTimeout, 1),
    timeout: number('timeout', options.timeout, 30_000, 1),
    closeTimeout: number('closeTimeout', options.closeTimeout, 5_000, 0),
    environment: environment ?? platformEnvironment(),
  }
}

export function isDefined(machine: AnyMachine | StateMachine): machine is AnyMachine {
  return 'initial' in machine
}

function checkMachine(machine: AnyMachine | StateMachine): void {
  if (typeof machine !== 'object' || machine === null)
    throw invalid('machine', 'is missing: give it what defineMachine returns')
  if (!isDefined(machine)) checkMethods('machine', machine, ['apply', 'query', 'snapshot', 'restore'])
  else if (typeof machine.commands !== 'object') throw invalid('machine', 'must be made by defineMachine')
  if (!(Number.isSafeInteger(machine.version) && machine.version >= 0 && machine.version < 2 ** 32))
    throw invalid('machine.version', 'must be an integer of 32 bits')
}

function founders(members: Readonly<Record<NodeId, string>> | undefined): Peer[] | undefined {
  if (members === undefined) return undefined
  if (typeof members !== 'object' || members === null || Array.isArray(members))
    throw invalid('members', "must be an object: { n1: 'host:port', … }")
  const peers = Object.entries(members).map(([id, address]) => {
    if (!isName(id)) throw invalid('members', `names ${JSON.stringify(id)}; an id must be ${nameRule}`)
    if (typeof address !== 'string' || address === '')
      throw invalid('members', `gives no address for ${id}; write host:port`)
    return { id, address }
  })
  const twice = peers.find(({ address }, i) => peers.findIndex((peer) => peer.address === address) !== i)
  if (twice) throw invalid('members', `gives ${twice.address} to two nodes`)
  return peers.sort((a, b) => (a.id < b.id ? -1 : 1))
}

function checkAdapter(option: string, adapter: Storage | Transport, methods: readonly string[]): void {
  checkMethods(option, adapter, methods)
  const { contract } = adapter as { contract: unknown }
  if (contract !== 1)
    throw new RaftkitError(
      'CONTRACT_MISMATCH',
      `the ${option} follows contract ${String(contract)}, this version of raftkit contract 1; install versions of the two that go together`,
    )
}

function checkMethods(option: string, value: unknown, methods: readonly string[]): void {
  if (typeof value !== 'object' || value === null)
    throw invalid(option, value === undefined ? 'is missing' : 'must be an object')
  for (const method of methods)
    if (typeof (value as Record<string, unknown>)[method] !== 'function')
      throw invalid(option, `has no method ${method}; is it the right package?`)
}

function number(option: string, value: number | undefined, otherwise: number, least: number): number {
  if (value === undefined) return otherwise
  if (typeof value === 'number' && value >= least) return value
  throw invalid(option, `is ${String(value)}; give a number of at least ${least}`)
}

function invalid(option: string, what: string): RaftkitError {
  return new RaftkitError('INVALID_OPTION', `${option} ${what}`)
}
