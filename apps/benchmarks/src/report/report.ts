import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Part } from '../harness/part.ts'
import { newestResult } from '../harness/result.ts'
import { svg } from './chart.ts'
import { writeGuides } from './guides.ts'
import { chartPath, page } from './page.ts'

/** Writes the page, its charts and the tables in the guides below `docs`; says what it wrote. */
export function report(parts: readonly Part[], docs = 'docs', results?: string): string {
  if (!existsSync(docs)) throw new Error(`there is no folder ${docs} here; run it in the root of the repository`)
  const told = parts.map((part) => ({ part, result: newestResult(part.name, results) }))
  const charts = told.flatMap(({ result }) => result?.charts ?? [])
  const folder = join(docs, 'performance')
  mkdirSync(folder, { recursive: true })
  for (const name of readdirSync(folder)) if (name.endsWith('.svg')) rmSync(join(folder, name))
  for (const chart of charts) writeFileSync(join(docs, chartPath(chart)), svg(chart))
  const file = join(docs, 'performance.md')
  writeFileSync(file, page(told))
  const guides = writeGuides(told, docs)
  const missing = told.flatMap(({ part, result }) => (result ? [] : [part.name]))
  return `${[file, ...guides].join(', ')}, ${charts.length} charts${missing.length > 0 ? `; not measured: ${missing.join(', ')}` : ''}`
}
