import {
  type Config,
  type NodeId,
  type Opening,
  type ProtocolInit,
  type ProtocolKind,
  RaftkitError,
  type Run,
} from '@raftkit/contract'
import { overheadBytes } from './fitting.ts'
import { founding, incarnationOf } from './founding.ts'
import { type Digest, isEqual } from './hash.ts'
import { compareIdentity, readIdentity } from './identity.ts'
import type { Voter } from './members.ts'
import type { Message } from './messages.ts'
import { open as openServer } from './opening.ts'
import { CertifiedRaft } from './protocol.ts'
import { snapshotOf } from './state.ts'

export interface CertifiedRaftOptions {
  /** Who founds the cluster, and by which key each is known: the same list on all members, and the ids of the node's option `members`. At least four. */
  readonly members: readonly Voter[]
  /** SHA-256. */
  readonly digest: Digest
  /** Entries that a leader proposes beyond what is committed. Default 8. */
  readonly window?: number
  /** Bytes of requests in one entry. Default 256 KiB; never more than a frame holds. */
  readonly batchBytes?: number
  /** Milliseconds. Each term that commits nothing doubles the time that the next one gets, up to this. Default 32 election timeouts. */
  readonly longestTimeout?: number
  /** Milliseconds until what may have been lost is said again. Default a quarter of the election timeout. */
  readonly resend?: number
  /** Every so many entries the members certify a checkpoint, and prune what lies before the one before it; the same on all members. Default 512. */
  readonly checkpointEntries?: number
  /** Which clients may ask, by their keys; the same on all members, whose votes rest on it. Members may always. Default: whoever comes. */
  readonly admits?: (client: Uint8Array) => boolean
}

const KiB = 1024

/**
 * The Byzantine-tolerant protocol as the option `protocol` of a node, which then needs `signatures`. `timing.electionTimeout` is how long a leader
 * may make no progress. Throws `INVALID_OPTION`.
 */
export function certifiedRaft(options: CertifiedRaftOptions): ProtocolKind<Message> {
  if (typeof options !== 'object' || options === null || !Array.isArray(options.members))
    throw invalid('members', 'is missing: list who founds the cluster, with the key of each')
  if (typeof options.digest !== 'function') throw invalid('digest', 'is missing: give it sha256')
  for (const { id, key } of options.members)
    if (typeof id !== 'string' || !(key instanceof Uint8Array))
      throw invalid('members', 'must be a list of { id, key }, each key as bytes')
  positive('window', options.window)
  positive('batchBytes', options.batchBytes)
  positive('longestTimeout', options.longestTimeout)
  positive('resend', options.resend)
  positive('checkpointEntries', options.checkpointEntries)
  return { name: 'certified-raft', signs: true, open: (init) => open(options, init) }
}

function open(options: CertifiedRaftOptions, init: ProtocolInit): Opening<Message> {
  const { digest, admits } = options
  const { id, cluster, group, found, timing, limits, maxMessageBytes } = init
  if (timing?.leaseDrift !== undefined)
    throw invalid('leases', 'rest on the word of a leader, and one that lies keeps none; leave them out')
  const { entry, members } = founding(digest, { cluster, group, members: options.members })
  const own = options.members.find((member) => member.id === id)
  if (own === undefined) throw invalid('members', `does not list ${id} itself`)
  if (init.key === undefined || !isEqual(own.key, init.key))
    throw invalid('signatures', `has another key than the one by which ${id} is listed`)
  const identity = { id, cluster, group, genesis: members.genesis.hash }
  const before = found.state === undefined ? undefined : readIdentity(found.state)
  if (before) compareIdentity(before.identity, identity)
  const timeout = timing?.electionTimeout ?? 1000
  const roomBytes = maxMessageBytes - overheadBytes
  const settings = {
    ...{ digest, self: id, members, founding: entry, group, timeout },
    longestTimeout: options.longestTimeout ?? 32 * timeout,
    resend: options.resend ?? timeout / 4,
    window: options.window ?? 8,
    checkpointEntries: options.checkpointEntries ?? 512,
    batchBytes: Math.min(options.batchBytes ?? 256 * KiB, roomBytes),
    ...(admits && { admits: (client: Uint8Array) => isMember(client) || admits(client) }),
  }
  const isMember = (client: Uint8Array): boolean => members.list.some(({ key }) => isEqual(key, client))
  const snapshot = before && snapshotOf(before.promises)
  const runs: Run[] = []
  return {
    snapshot,
    load: (run) => void runs.push(run),
    start(now) {
      const server = openServer(settings, before?.promises, { first: found.first, ...joined(runs) }, now)
      const boot = (before?.identity.boot ?? 0) + 1
      return new CertifiedRaft({
        ...{ identity: { ...identity, boot }, group, server, maxMessageBytes, now, position: snapshot?.index ?? 0 },
        config: configOf(options, init),
        // A million boots later nobody remembers the first; the random half tells a disk that was wiped from the one before.
        session: (boot % 0x10_0000) * 0x1_0000_0000 + init.seed,
        proposalBytes: Math.min(limits?.proposalBytes ?? 1024 * KiB, settings.batchBytes - 256),
        waitingBytes: limits?.uncommittedBytes ?? 64 * KiB * KiB,
        time: init.time ?? 0,
      })
    },
  }
}

/** Addresses are no part of the founding: they may change, and prove nothing. */
function configOf({ digest, members }: CertifiedRaftOptions, { founders = [] }: ProtocolInit): Config {
  const addressOf = (id: NodeId): string | undefined => founders.find((peer) => peer.id === id)?.address
  for (const { id } of founders)
    if (!members.some((member) => member.id === id))
      throw invalid('members', `gives no key for ${id}, which is to be dialled`)
  const list = [...members].sort((a, b) => (a.id < b.id ? -1 : 1))
  return {
    format: 1,
    members: list.map(({ id, key }) => {
      const address = addressOf(id)
      return {
        id,
        incarnation: incarnationOf(digest, key),
        role: 'voter',
        ...(address === undefined ? {} : { address }),
      }
    }),
  }
}

function joined(runs: readonly Run[]): Run {
  if (runs.length === 1) return runs[0]!
  const bytes = new Uint8Array(runs.reduce((sum, run) => sum + run.bytes.length, 0))
  let count = 0
  let at = 0
  for (const run of runs) {
    bytes.set(run.bytes, at)
    at += run.bytes.length
    count += run.count
  }
  return { count, bytes }
}

function positive(option: string, value: number | undefined): void {
  if (value !== undefined && !(value > 0)) throw invalid(option, `is ${String(value)}; give a number above 0`)
}

const invalid = (option: string, what: string): RaftkitError => new RaftkitError('INVALID_OPTION', `${option} ${what}`)
