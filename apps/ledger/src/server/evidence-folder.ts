import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Of a proved lie: which kind, and whose. */
export interface Piece {
  readonly lie: string
  readonly who: string
}

/** What this member can prove against others, one file for each piece: they outlive the process, and are good for anyone who has the genesis file. */
export class EvidenceFolder {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
    mkdirSync(directory, { recursive: true })
  }

  keep({ lie, who }: Piece, bytes: Uint8Array): string {
    const file = join(this.#directory, evidenceName({ lie, who }))
    writeFileSync(`${file}.part`, bytes)
    renameSync(`${file}.part`, file)
    return file
  }

  all(): { readonly name: string; readonly bytes: Uint8Array }[] {
    const names = readdirSync(this.#directory).filter((name) => name.endsWith(ending))
    return names.sort().map((name) => ({ name, bytes: readFileSync(join(this.#directory, name)) }))
  }
}

const ending = '.evidence'

const evidenceName = ({ lie, who }: Piece): string => `${lie}-${who.replace(/[^A-Za-z0-9._-]/g, '_')}${ending}`
