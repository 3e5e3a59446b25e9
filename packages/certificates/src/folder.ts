import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { RaftkitError } from '@raftkit/contract'
import type { Authority, Issued } from './authority.ts'

/** The `tls` option of a transport. */
export interface Tls {
  readonly ca: string
  readonly cert: string
  readonly key: string
  readonly deny?: readonly string[]
}

export interface WriteOptions {
  /** Replaces what is there. Default false. */
  readonly force?: boolean
}

/** Writes `cert.pem`, `key.pem` and, unless it is an authority, `ca.pem`. Throws `REFUSED` if one of them is there. */
export function writeFolder(directory: string, what: Authority | Issued, { force = false }: WriteOptions = {}): void {
  const files = { 'key.pem': what.key, 'cert.pem': what.cert, ...('ca' in what && { 'ca.pem': what.ca }) }
  const there = Object.keys(files).find((name) => existsSync(join(directory, name)))
  if (there !== undefined && !force)
    throw new RaftkitError('REFUSED', `${join(directory, there)} exists already: only \`force\` replaces it`)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  for (const [name, text] of Object.entries(files)) writeWhole(join(directory, name), text)
}

/**
 * The `tls` option of a transport, from a folder with `ca.pem`, `cert.pem`, `key.pem` and perhaps `deny.txt`: a fingerprint or a name
 * `raft://cluster/node` per line, `#` before remarks. Pass `tls: () => readTls(directory)`, and `reload()` reads it anew. Throws `INVALID_OPTION`.
 */
export function readTls(directory: string): Tls {
  const [ca, cert, key] = ['ca.pem', 'cert.pem', 'key.pem'].map((name) => {
    try {
      return readFileSync(join(directory, name), 'utf8')
    } catch (cause) {
      throw new RaftkitError('INVALID_OPTION', `${join(directory, name)} cannot be read: ${(cause as Error).message}`, {
        cause,
      })
    }
  }) as [string, string, string]
  const list = join(directory, 'deny.txt')
  return { ca, cert, key, ...(existsSync(list) && { deny: denied(readFileSync(list, 'utf8')) }) }
}

const denied = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '')

/** Never half a file, and never for a moment one that others can read. */
function writeWhole(path: string, text: string): void {
  const beside = `${path}.${randomBytes(6).toString('hex')}`
  try {
    writeFileSync(beside, text, { mode: 0o600, flag: 'wx', flush: true })
    renameSync(beside, path)
  } catch (cause) {
    rmSync(beside, { force: true })
    throw cause
  }
}
