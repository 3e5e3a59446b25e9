import type { Config, Environment, LogWrite } from '@raftkit/contract'
import { platformEnvironment } from './environment.ts'
import type { NodeEvent, Observer } from './events.ts'

/** One line of a trace, but the first: what happened, when, on which node. See docs/reference/trace-format.md for all types and fields. */
export interface TraceLine {
  /** Milliseconds, to the microsecond. */
  readonly at: number
  readonly node: string
  readonly type: string
  readonly [field: string]: unknown
}

export interface TraceOptions {
  /** Stands in the header. */
  readonly cluster?: string
  /** The node's, if it was given one. Its wall clock is read once, so that traces of several nodes can be laid side by side. */
  readonly environment?: Environment
}

/** The format's name and version, the first two fields of every trace. */
const format = { format: 'raftkit-trace', version: 1 } as const

/**
 * An observer that writes down what happens in one node, messages and writes included: lines of JSON, each with its line feed,
 * handed to `write` as they happen. Pass it as `observer` to `createNode`. Of what users put in, no byte is written.
 */
export function traceWriter(write: (line: string) => void, options: TraceOptions = {}): Observer {
  const { cluster, environment = platformEnvironment() } = options
  let begun = false
  const see = (event: NodeEvent): void => {
    if (!begun) {
      begun = true
      // Where the node's clock stood when the wall clock said so.
      const wall = Math.round(environment.wall() - environment.now())
      const header = {
        ...format,
        source: 'node',
        ...(cluster === undefined ? {} : { cluster }),
        node: event.node,
        wall,
      }
      write(`${JSON.stringify(header)}\n`)
    }
    write(`${JSON.stringify(traceLine(event))}\n`)
  }
  return Object.assign(see, { detail: true })
}

/** The line of a trace that tells of `event`. */
export function traceLine(event: NodeEvent): TraceLine {
  const { at, node, group, type, ...fields } = event
  return { at: milliseconds(at), node, type, ...(group === 'main' ? {} : { group }), ...factsOf(event, fields) }
}

function factsOf(event: NodeEvent, fields: object): object {
  switch (event.type) {
    case 'founded':
      return { genesis: event.genesis, members: membersOf(event.config) }
    case 'configuration':
      return { index: event.index, committed: event.committed, members: membersOf(event.config) }
    case 'leader':
      return event.leader === undefined ? { term: event.term } : { leader: event.leader, term: event.term }
    case 'snapshot': {
      const { name, index, term, bytes } = event.snapshot
      return { step: event.step, name, index, term, bytes, ...(event.peer === undefined ? {} : { peer: event.peer }) }
    }
    case 'saved': {
      const { name, index, term, bytes } = event.snapshot
      return { name, index, term, bytes, milliseconds: milliseconds(event.milliseconds) }
    }
    case 'applied':
    case 'durable':
    case 'stalled':
      return { ...fields, milliseconds: milliseconds(event.milliseconds) }
    case 'forked':
      return { from: event.from, bytes: event.dump.length }
    case 'accused':
      return { who: event.who, lie: event.lie, what: event.what }
    case 'stopped':
      return { code: event.error.code, reason: event.error.message }
    case 'write':
      return { write: event.write, ...writeFacts(event.change) }
    default:
      return fields
  }
}

/** What a write does, without what it holds. */
function writeFacts({ tail, compactTo, state }: LogWrite): object {
  return {
    ...(tail === undefined ? {} : { from: tail.at, count: tail.run.count, bytes: tail.run.bytes.length }),
    ...(tail?.reset ? { reset: true } : {}),
    ...(compactTo === undefined ? {} : { compactTo }),
    state: state !== undefined,
  }
}

const membersOf = ({ members }: Config): object[] =>
  members.map(({ id, incarnation, role }) => ({ id, incarnation, role }))

const milliseconds = (time: number): number => Math.round(time * 1000) / 1000
