import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Machine } from './machine.ts'
import type { Chart, Column, Figure, Findings, Row } from './part.ts'

/** The last line on stdout, and what a result file holds. */
export interface Result {
  readonly part: string
  readonly ok: boolean
  /** Why not. */
  readonly error?: string
  /** ISO 8601, and how long it took in seconds. */
  readonly at: string
  readonly took: number
  readonly quick: boolean
  readonly seconds: number
  readonly pairs: number
  readonly machine: Machine
  /** Cores that were busy with other work than this, on average: above a tenth of them, the figures are not to be believed. */
  readonly others: number
  /** All rows of all tables; `table` says whose. */
  readonly rows: readonly Row[]
  readonly tables: readonly { readonly name: string; readonly title: string; readonly columns: readonly Column[] }[]
  readonly figures: readonly Figure[]
  readonly charts: readonly Chart[]
  readonly notes: readonly string[]
}

export const resultsDirectory = join('.tmp', 'bench')

/** Where the result of a run that begins now goes. */
export function resultFile(part: string, at: Date): string {
  return join(resultsDirectory, `${part}-${at.toISOString().slice(0, 19).replaceAll(':', '-')}.json`)
}

export function writeResult(file: string, result: Result): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify(result)}\n`)
}

/** The newest good result of a part: of a full run if there is one, else of a quick one. */
export function newestResult(part: string, directory: string = resultsDirectory): Result | undefined {
  const results = list(directory)
    .filter((name) => /^[\w-]+\.json$/.test(name) && name.startsWith(`${part}-`))
    .flatMap((name) => read(join(directory, name)))
    .filter((result) => result.part === part && result.ok)
    .sort((a, b) => Number(a.quick) - Number(b.quick) || b.at.localeCompare(a.at))
  return results[0]
}

/** Findings as a result carries them. Throws if they cannot be right: no rows, a number that is none, a column without a field. */
export function flatten({
  tables,
  figures,
  charts = [],
  notes = [],
}: Findings): Pick<Result, 'rows' | 'tables' | 'figures' | 'charts' | 'notes'> {
  const rows = tables.flatMap(({ name, rows }) => rows.map((row) => ({ table: name, ...row })))
  if (rows.length === 0) throw new Error('nothing was measured')
  for (const row of rows)
    for (const [field, value] of Object.entries(row))
      if (typeof value === 'number' && !Number.isFinite(value))
        throw new Error(`${field} is ${value} in ${JSON.stringify(row)}`)
  for (const { name, columns, rows } of tables)
    for (const { field } of columns)
      if (!rows.some((row) => field in row)) throw new Error(`no row of table ${name} has the field ${field}`)
  for (const { measure, value } of figures)
    if (!Number.isFinite(value)) throw new Error(`the figure "${measure}" is ${value}`)
  return { rows, tables: tables.map(({ name, title, columns }) => ({ name, title, columns })), figures, charts, notes }
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** A file that is still being written, or is none of ours, is no result. */
function read(file: string): Result[] {
  try {
    return [JSON.parse(readFileSync(file, 'utf8')) as Result]
  } catch {
    return []
  }
}
