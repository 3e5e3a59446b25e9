import { checksumSeed } from '@raftkit/bytes'
import { type Opening, type ProtocolInit, type ProtocolKind, RaftkitError, type Run } from '@raftkit/contract'
import type { Committed } from './committed.ts'
import { overheadBytes } from './fitting.ts'
import { founding, shortGenesis } from './founding.ts'
import type { Digest } from './hash.ts'
import { compareIdentity, readIdentity } from './identity.ts'
import type { Operators, Voter } from './members.ts'
import type { Message } from './messages.ts'
import { open as openServer } from './opening.ts'
import { CertifiedRaft } from './protocol.ts'
import { snapshotOf } from './state.ts'
import { knows } from './succession.ts'

export interface CertifiedRaftOptions {
  /** Who founds the cluster, and by which key each is known: the same list on all members, and the ids of the node's option `members`. At least four. */
  readonly members: readonly Voter[]
  /**
   * Whoever may change the members: any `threshold` of these keys together. Part of the founding, so the same on all members, for ever; configurations may
   * name others. Default: nobody, and the founders stay.
   */
  readonly operators?: Operators
  /** SHA-256. */
  readonly digest: Digest
  /** Entries that a leader proposes beyond what is committed. Default 8. */
  readonly window?: number
  /** Bytes of requests in one entry. Default 256 KiB; never more than a frame holds. */
  readonly batchBytes?: number
  /** Milliseconds. Each term that commits nothing doubles the time that the next one gets, up to this. Default 32 election timeouts. */
  readonly longestTimeout?: number
  /** Milliseconds without a commit until what may have been lost is said again. Default a quarter of the election timeout. */
  readonly resend?: number
  /** Milliseconds by which the clocks of honest members may differ: an entry that is further ahead gets no vote. Default 60,000. */
  readonly clockSkew?: number
  /** Every so many entries the members certify a checkpoint, and prune what lies before the one before it; the same on all members. Default 512. */
  readonly checkpointEntries?: number
  /** Which clients may ask, by their keys; the same on all members, whose votes rest on it. Members may always. Default: whoever comes. */
  readonly admits?: (client: Uint8Array) => boolean
  /**
   * Given all that is committed, in order, of which `receiptIn` makes receipts when the member itself keeps the entries no longer; after a restart what
   * lies behind the newest checkpoint comes again. What was skipped by fetching a state never comes. It is called in the middle of a turn, so it must
   * be quick, and must not throw.
   */
  readonly archive?: (committed: Committed) => void
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
  const { operators } = options
  if (
    operators !== undefined &&
    !(Array.isArray(operators?.keys) && operators.keys.every((key) => key instanceof Uint8Array))
  )
    throw invalid('operators', 'must be { keys, threshold }, each key as bytes')
  positive('window', options.window)
  positive('batchBytes', options.batchBytes)
  positive('longestTimeout', options.longestTimeout)
  positive('resend', options.resend)
  positive('checkpointEntries', options.checkpointEntries)
  positive('clockSkew', options.clockSkew)
  return { name: 'certified-raft', signs: true, open: (init) => open(options, init) }
}

function open(options: CertifiedRaftOptions, init: ProtocolInit): Opening<Message> {
  const { digest, admits, operators, archive } = options
  const { id, cluster, group, found, timing, limits, maxMessageBytes, key, founders } = init
  if (timing?.leaseDrift !== undefined)
    throw invalid('leases', 'rest on the word of a leader, and one that lies keeps none; leave them out')
  const { entry, members } = founding(digest, {
    cluster,
    group,
    members: options.members,
    ...(operators && { operators }),
  })
  if (key === undefined) throw invalid('signatures', 'is missing: members sign')
  if (operators === undefined) {
    if (members.signer(id) === undefined) throw invalid('members', `does not list ${id} itself`)
    if (members.signer(id, key) === undefined)
      throw invalid('signatures', `has another key than the one by which ${id} is listed`)
    for (const peer of founders ?? [])
      if (members.signer(peer.id) === undefined)
        throw invalid('members', `gives no key for ${peer.id}, which is to be dialled`)
  }
  const identity = { id, cluster, group, genesis: members.genesis.hash }
  const before = found.state === undefined ? undefined : readIdentity(found.state)
  if (before) compareIdentity(before.identity, identity)
  const timeout = timing?.electionTimeout ?? 1000
  const roomBytes = maxMessageBytes - overheadBytes
  const settings = {
    ...{ digest, self: id, key, members, founding: entry, group, timeout },
    longestTimeout: options.longestTimeout ?? 32 * timeout,
    resend: options.resend ?? timeout / 4,
    window: options.window ?? 8,
    clockSkew: options.clockSkew ?? 60_000,
    checkpointEntries: options.checkpointEntries ?? 512,
    batchBytes: Math.min(options.batchBytes ?? 256 * KiB, roomBytes),
    ...(admits && { admits }),
    ...(operators && { joins: true as const }),
  }
  const snapshot = before && snapshotOf(before.promises)
  const runs: Run[] = []
  return {
    snapshot,
    load: (run) => void runs.push(run),
    start(now) {
      const server = openServer(settings, before?.promises, { first: found.first, ...joined(runs) }, now)
      if (founders !== undefined && !knows(server, id, key))
        throw invalid('signatures', `has a key by which ${id} is no member; whoever is yet to come says join: true`)
      const boot = (before?.identity.boot ?? 0) + 1
      return new CertifiedRaft({
        ...{ identity: { ...identity, boot }, server, maxMessageBytes, now, position: snapshot?.index ?? 0 },
        ...{ key, contacts: founders ?? [], checksumSeed: checksumSeed(shortGenesis(members), group) },
        // A million boots later nobody remembers the first; the random half tells a disk that was wiped from the one before.
        session: (boot % 0x10_0000) * 0x1_0000_0000 + init.seed,
        proposalBytes: Math.min(limits?.proposalBytes ?? 1024 * KiB, settings.batchBytes - 256),
        waitingBytes: limits?.uncommittedBytes ?? 64 * KiB * KiB,
        time: init.time ?? 0,
        ...(archive && { archive }),
      })
    },
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
