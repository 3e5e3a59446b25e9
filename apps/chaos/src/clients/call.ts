import { type Call, ConnectionLost, exchange } from '@raftkit/app-kv'
import type { Command, Json, KeyValueOperation } from '@raftkit/linearizability'
import { now } from './clock.ts'

/** How long a client waits. Longer than the server does, so that it hears the server's own verdict. Milliseconds. */
const patience = 5_000

/** What kv's README says of its answers, and nothing that this program knows about the cluster. */
export interface Answer {
  readonly ok: boolean | 'unknown'
  readonly output?: Json
  /** The log index of a change that was made. */
  readonly revision?: number
  /** Nobody was there: another member may be. */
  readonly refused?: true
}

function request(key: string, command: Command): Call {
  const path = `/v1/kv/${key}`
  switch (command.op) {
    case 'get':
      return { method: 'GET', path }
    case 'delete':
      return { method: 'DELETE', path }
    case 'put':
      return { method: 'PUT', path, body: { value: command.value } }
    case 'append':
      return { method: 'POST', path: `${path}/append`, body: { value: command.text } }
    case 'cas': {
      const expect = command.from === null ? { absent: true } : { value: command.from }
      return { method: 'POST', path: `${path}/cas`, body: { value: command.to, expect } }
    }
  }
}

/** Throws on an answer that kv's contract does not know. */
function interpret(command: Command, status: number, body: unknown): Answer {
  const { value, revision, error } = (body ?? {}) as {
    value?: string
    revision?: number
    error?: { code: string; outcome?: 'refused' | 'unknown' }
  }
  const { op } = command
  if (status === 200) {
    if (op === 'get') return { ok: true, output: value! }
    return { ok: true, revision: revision!, ...((op === 'cas' || op === 'delete') && { output: true }) }
  }
  if (status === 404 && error?.code === 'NOT_FOUND' && op === 'get') return { ok: true, output: null }
  if (status === 404 && error?.code === 'NOT_FOUND' && op === 'delete') return { ok: true, output: false }
  if (status === 412 && op === 'cas') return { ok: true, output: false }
  if (status === 503 && error !== undefined) return { ok: false, refused: true }
  if (status >= 500) return { ok: 'unknown' }
  throw new Error(`kv answered ${status} to ${JSON.stringify(command)}: ${JSON.stringify(body)}`)
}

/** One operation of one client on one member, as the history tells it. */
export async function call(
  endpoint: string,
  client: string,
  key: string,
  command: Command,
): Promise<{ operation: KeyValueOperation; refused: boolean }> {
  const begin = now()
  let answer: Answer
  try {
    const { status, body } = await exchange(endpoint, request(key, command), patience)
    answer = interpret(command, status, body)
  } catch (error) {
    if (!(error instanceof ConnectionLost)) throw error
    answer = error.sent ? { ok: 'unknown' } : { ok: false, refused: true }
  }
  const { ok, output, revision, refused = false } = answer
  const operation: KeyValueOperation = {
    client,
    key,
    input: command,
    ...(output !== undefined && { output }),
    call: begin,
    return: now(),
    ok,
    ...(revision !== undefined && { index: revision }),
  }
  return { operation, refused }
}
