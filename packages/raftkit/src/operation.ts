import { decodeValue, encodeValue } from '@raftkit/bytes'
import { RaftkitError } from '@raftkit/contract'
import { ofInput } from './calls.ts'
import { commandEntry, readEntry } from './entry.ts'

/**
 * What a client outside puts into a request of its own: one command of a machine of `defineMachine`. It has no session here, since the
 * numbers of the request see to it that it is executed once. `decodeResult` reads its result. Throws `INVALID_VALUE`.
 */
export function encodeCommand(name: string, input: unknown): Uint8Array {
  return commandEntry(
    undefined,
    name,
    ofInput(name, () => encodeValue(input)),
  )
}

/** What `encodeCommand` was given: for whoever holds a signed request, or proof of one. Throws `MALFORMED` or `UNKNOWN_FORMAT`. */
export function decodeCommand(operation: Uint8Array): { readonly name: string; readonly input: unknown } {
  const entry = readEntry(operation)
  if (entry.type !== 'command') throw new RaftkitError('MALFORMED', `an operation is a command, not ${entry.type}`)
  return { name: entry.name, input: decodeValue(entry.input) }
}
