import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { isRaftkitError, RaftkitError } from '@raftkit/contract'
import { publicOf, secretOf } from './secret.ts'

export interface PrivateKey {
  /** 32 bytes: the key by which others know the owner. */
  readonly public: Uint8Array
  /** PKCS #8: the secret. */
  readonly pem: string
}

export function generateKey(): PrivateKey {
  return keyOf(generateKeyPairSync('ed25519').privateKey)
}

/** Throws `INVALID_OPTION` if there is no such key, `REFUSED` if others than the owner may read the file. */
export function readKey(path: string): PrivateKey {
  let pem: string
  try {
    if (process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0)
      throw new RaftkitError('REFUSED', `${path} can be read by others than its owner: say chmod 600 ${path}`)
    pem = readFileSync(path, 'utf8')
  } catch (cause) {
    if (isRaftkitError(cause)) throw cause
    throw new RaftkitError('INVALID_OPTION', `${path} cannot be read: ${(cause as Error).message}`, { cause })
  }
  return keyOf(secretOf(pem, path))
}

/** For its owner alone, and whole or not at all. Throws `REFUSED` if a file is there, unless `force`. */
export function writeKey(path: string, key: PrivateKey, { force = false }: { readonly force?: boolean } = {}): void {
  if (existsSync(path) && !force)
    throw new RaftkitError(
      'REFUSED',
      `${path} exists already: only \`force\` replaces a key, and its votes are lost with it`,
    )
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const beside = `${path}.${randomBytes(6).toString('hex')}`
  try {
    writeFileSync(beside, key.pem, { mode: 0o600, flag: 'wx', flush: true })
    renameSync(beside, path)
  } catch (cause) {
    rmSync(beside, { force: true })
    throw cause
  }
}

function keyOf(secret: KeyObject): PrivateKey {
  return { public: publicOf(secret), pem: secret.export({ format: 'pem', type: 'pkcs8' }) as string }
}
