import { readFileSync } from 'node:fs'
import type { Credentials } from './exchange.ts'
import { UsageError } from './exit.ts'

/** Files, each. A token stands in no argument: everyone on a machine can read those. */
export interface CredentialFlags {
  token?: string
  ca?: string
  cert?: string
  key?: string
}

/** What stands in them. Throws `UsageError`. */
export function credentials(flags: CredentialFlags, env: Readonly<Record<string, string | undefined>>): Credentials {
  if ((flags.cert === undefined) !== (flags.key === undefined)) throw new UsageError('--cert and --key go together')
  const read = (name: keyof CredentialFlags) => {
    const file = flags[name]
    if (file === undefined) return
    try {
      return readFileSync(file, 'utf8')
    } catch (cause) {
      throw new UsageError(`--${name}: ${(cause as Error).message}`)
    }
  }
  const token = (read('token') ?? env.RAFTKIT_TOKEN)?.trim()
  // What it is stands in no message.
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token))
    throw new UsageError(
      `${flags.token === undefined ? 'RAFTKIT_TOKEN' : flags.token} holds no token: one line of ASCII is wanted`,
    )
  return { token, ca: read('ca'), cert: read('cert'), key: read('key') }
}
