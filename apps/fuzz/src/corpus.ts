import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** `encoder`: made by the real encoders. `coverage`: reached a branch that none before did. `regression`: was a finding once. */
export type Origin = 'encoder' | 'coverage' | 'regression'

export interface Kept {
  readonly origin: Origin
  readonly bytes: Uint8Array
}

const folder = fileURLToPath(new URL('../corpus/', import.meta.url))
const fileOf = (target: string): string => `${folder}${target}.ndjson`

/** The seeds of a target that are kept in the repository. */
export function readCorpus(target: string): Kept[] {
  if (!existsSync(fileOf(target))) return []
  return readFileSync(fileOf(target), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const { origin, base64 } = JSON.parse(line) as { origin: Origin; base64: string }
      return { origin, bytes: new Uint8Array(Buffer.from(base64, 'base64')) }
    })
}

/** Written anew, without repetitions, in an order of its own: equal corpora are equal files. */
export function writeCorpus(target: string, kept: readonly Kept[]): void {
  mkdirSync(folder, { recursive: true })
  const order: readonly Origin[] = ['encoder', 'regression', 'coverage']
  const seen = new Map<string, Origin>()
  for (const origin of order)
    for (const one of kept)
      if (one.origin === origin) {
        const base64 = Buffer.from(one.bytes).toString('base64')
        if (!seen.has(base64)) seen.set(base64, origin)
      }
  writeFileSync(fileOf(target), [...seen].map(([base64, origin]) => `${JSON.stringify({ origin, base64 })}\n`).join(''))
}
