import { encodeValue } from '@raftkit/bytes'
import { ofInput } from './calls.ts'
import { commandEntry } from './entry.ts'

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
