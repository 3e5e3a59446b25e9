import type { NodeEvent, Observer } from './events.ts'

/** The part of pino's interface that a node uses; any logger of that shape will do. */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

type Level = keyof Logger
type Line = readonly [level: Level, evt: string, message: string]

/** Writes one line per event worth one: its name as `evt`, always with cluster, node and group. */
export function logTo(logger: Logger, cluster: string): Observer {
  return (event) => {
    const line = describe(event)
    if (!line) return
    const [level, evt, message] = line
    const { at, type, ...fields } = event
    logger[level]({ evt: `raft.${evt}`, cluster, ...fields }, message)
  }
}

/** Undefined: too frequent for a log; counters tell of it. */
function describe(event: NodeEvent): Line | undefined {
  switch (event.type) {
    case 'started':
      return ['info', 'started', `started, boot ${event.boot}, log up to ${event.last}`]
    case 'ready':
      return ['info', 'ready', 'ready: a linearizable read went through']
    case 'stopped':
      return ['error', 'stopped', `stopped: ${event.error.message}`]
    case 'closed':
      return ['info', 'closed', 'closed']
    case 'founded':
      return ['info', 'founded', `the cluster is founded, genesis ${event.genesis}`]
    case 'role':
      return ['info', `became_${event.role}`, `${event.role} in term ${event.term}: ${event.reason}`]
    case 'leader':
      return event.leader === undefined
        ? ['warn', 'no_leader', `no leader known in term ${event.term}`]
        : ['info', 'leader', `${event.leader} leads in term ${event.term}`]
    case 'vote':
      return ['debug', 'vote', `${event.granted ? 'granted' : 'refused'} ${event.to} a vote: ${event.reason}`]
    case 'configuration':
      return [
        'info',
        'configuration',
        `configuration of entry ${event.index} ${event.committed ? 'committed' : 'in force'}: ${event.config.members
          .map(({ id, role }) => `${id} ${role}`)
          .join(', ')}`,
      ]
    case 'truncated':
      return ['info', 'truncated', `the log was cut from ${event.from} on`]
    case 'snapshot':
      return [
        event.step === 'failed' ? 'warn' : 'info',
        `snapshot_${event.step}`,
        `snapshot ${event.snapshot.name} ${event.step}`,
      ]
    case 'snapshotting':
      return event.step === 'failed'
        ? ['error', 'snapshot_not_taken', `no snapshot at ${event.index}: ${event.reason}; it is tried again later`]
        : ['debug', 'snapshot_begun', `taking a snapshot at ${event.index}`]
    case 'saved':
      return ['debug', 'snapshot_saved', `snapshot ${event.snapshot.name} of ${event.snapshot.bytes} bytes saved`]
    case 'compacted':
      return ['debug', 'compacted', `the log begins at ${event.first}`]
    case 'amnesic':
      return ['error', 'amnesic', `${event.peer} lost what it had acknowledged; it is not counted any more: replace it`]
    case 'accused':
      return ['error', 'accused', `${event.who} lied, and it is proved (${event.lie}): ${event.what}`]
    case 'forked':
      return [
        'error',
        'forked',
        'the cluster is forked by more liars than it bears: nothing is committed any more; collect the dumps',
      ]
    case 'removed':
      return ['warn', 'removed', 'this node is no member any more; it may be closed']
    case 'link':
      return [event.state === 'down' ? 'warn' : 'info', `link_${event.state}`, `link to ${event.peer} ${event.state}`]
    case 'hello':
      return ['debug', 'hello', `${event.peer} introduced itself`]
    case 'refused':
      return ['warn', 'refused', event.reason]
    case 'dropped':
      return ['debug', 'dropped', `a ${event.what} of or for ${event.peer} was given up: ${event.reason}`]
    case 'stalled':
      return [
        'warn',
        'stalled',
        `the process stood still for ${Math.round(event.milliseconds)} ms; elections follow when that nears the election timeout`,
      ]
    case 'warning':
      return ['warn', 'warning', `${event.code}: ${event.reason}`]
    case 'ignored':
      return ['debug', 'ignored', `a message of ${event.from} was ignored: ${event.reason}`]
    case 'commit':
    case 'applied':
    case 'durable':
    case 'sent':
    case 'received':
    case 'write':
    case 'missed':
      return undefined
  }
}
