import type { Limits, ProtocolInit, Timing } from '@raftkit/contract'
import { RaftkitError } from '@raftkit/contract'

/** Timing and limits with their defaults filled in; see `Timing` and `Limits` for what each means. */
export interface Settings {
  readonly electionTimeout: number
  readonly heartbeatInterval: number
  /** After this long without news of what was sent, it is taken for lost. */
  readonly retryInterval: number
  readonly diskTimeout: number
  /** How long a lease lasts from the moment its round was emitted; 0: leases are off. */
  readonly leaseDuration: number
  readonly maxMessageBytes: number
  readonly proposalBytes: number
  readonly uncommittedBytes: number
  readonly inflightBytes: number
  readonly inflightMessages: number
  readonly cacheBytes: number
  readonly catchUpEntries: number
  readonly trailingEntries: number
}

/** Room in a message for everything but records. */
const headBytes = 1024

export function settings(init: ProtocolInit): Settings {
  const timing: Timing = init.timing ?? {}
  const limits: Limits = init.limits ?? {}
  const maxMessageBytes = within('maxMessageBytes', init.maxMessageBytes, 4096)
  const electionTimeout = within('timing.electionTimeout', timing.electionTimeout ?? 1000, 10)
  const heartbeatInterval = within('timing.heartbeatInterval', timing.heartbeatInterval ?? electionTimeout / 10, 1)
  if (heartbeatInterval * 2 > electionTimeout) {
    throw new RaftkitError(
      'INVALID_OPTION',
      `timing.heartbeatInterval (${heartbeatInterval} ms) must be at most half of timing.electionTimeout (${electionTimeout} ms), or one lost heartbeat deposes a healthy leader`,
    )
  }
  const drift = timing.leaseDrift
  if (drift !== undefined && !(drift >= 0 && drift <= 0.5)) {
    throw new RaftkitError('INVALID_OPTION', `timing.leaseDrift is a share between 0 and 0.5, not ${drift}`)
  }
  const largest = maxMessageBytes - headBytes
  return {
    electionTimeout,
    heartbeatInterval,
    retryInterval: electionTimeout / 2,
    diskTimeout: within('timing.diskTimeout', timing.diskTimeout ?? electionTimeout * 5, electionTimeout),
    // A vote is refused for one election timeout after the leader was heard, by the voter's clock; ours may run slower by the drift.
    leaseDuration: drift === undefined ? 0 : electionTimeout * (1 - drift),
    maxMessageBytes: largest,
    proposalBytes: Math.min(
      within('limits.proposalBytes', limits.proposalBytes ?? 1024 * 1024, 1),
      largest - headBytes,
    ),
    uncommittedBytes: within('limits.uncommittedBytes', limits.uncommittedBytes ?? 64 * 1024 * 1024, 1),
    inflightBytes: within('limits.inflightBytes', limits.inflightBytes ?? 8 * 1024 * 1024, 1),
    inflightMessages: within('limits.inflightMessages', limits.inflightMessages ?? 256, 1),
    cacheBytes: within('limits.cacheBytes', limits.cacheBytes ?? 16 * 1024 * 1024, 0),
    catchUpEntries: within('limits.catchUpEntries', limits.catchUpEntries ?? 256, 0),
    trailingEntries: within('limits.trailingEntries', limits.trailingEntries ?? 10_000, 0),
  }
}

function within(name: string, value: number, least: number): number {
  if (Number.isFinite(value) && value >= least) return value
  throw new RaftkitError('INVALID_OPTION', `${name} must be a number of at least ${least}, not ${value}`)
}
