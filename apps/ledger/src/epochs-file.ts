import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { UsageError } from '@raftkit/app-kv'
import { readEpochs, type Trust } from '@raftkit/bft'
import { verifyHere } from '@raftkit/ed25519'
import { type Genesis, trustOf } from './genesis.ts'

/** Where it is kept how members were exchanged, unless another place is named: beside the genesis file. */
export const epochsBeside = (genesisFile: string): string => join(dirname(genesisFile), 'epochs.raftkit')

/**
 * Whom to believe: the founders, and all that came after them as far as that file proves it. Anyone may have made it: it proves itself, from the
 * genesis alone. Throws `UsageError` if it does not.
 */
export function knownEpochs(genesis: Genesis, file: string): Trust {
  const { digest, epochs } = trustOf(genesis)
  if (!existsSync(file)) return { digest, epochs }
  try {
    const proof = new Uint8Array(readFileSync(file))
    return { digest, epochs: readEpochs(epochs[0]!, proof, { digest, verify: verifyHere }) }
  } catch (error) {
    throw new UsageError(`${file}: ${(error as Error).message}: remove it, and the members tell it again`)
  }
}

/** Never half a file. */
export function keepEpochs(file: string, proof: Uint8Array): void {
  writeFileSync(`${file}.part`, proof)
  renameSync(`${file}.part`, file)
}
