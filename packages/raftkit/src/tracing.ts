/** One traced call: what it is, on which node. Subscribers of the channel see this object, with `result` or `error` added by the end. */
export interface TracedCall {
  readonly node: string
  readonly cluster: string
  readonly operation: 'command' | 'query' | 'propose' | 'submit' | 'change' | 'transfer' | 'snapshot'
  /** Of the command or query. */
  readonly name?: string
}

/** Runs `call`, traced if anybody listens. */
export type Trace = <T>(context: TracedCall, call: () => Promise<T>) => Promise<T>

interface Channel {
  readonly hasSubscribers?: boolean
  tracePromise<T>(call: () => Promise<T>, context: object): Promise<T>
}

/**
 * Calls on the tracing channel `raftkit:call` of `node:diagnostics_channel`, found without importing it: where there is no such
 * module, nothing is traced. Costs nothing while nobody subscribes.
 */
export function tracing(): Trace {
  const channel = findChannel()
  if (!channel) return (_, call) => call()
  return (context, call) => (channel.hasSubscribers === false ? call() : channel.tracePromise(call, context))
}

function findChannel(): Channel | undefined {
  const { process } = globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } }
  const found = process?.getBuiltinModule?.('node:diagnostics_channel') as
    | { tracingChannel?: (name: string) => Channel }
    | undefined
  return found?.tracingChannel?.('raftkit:call')
}
