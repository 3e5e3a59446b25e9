import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tableOf } from '../harness/table.ts'
import type { Told } from './page.ts'

/** Guides that show what was measured: the tables of a part stand between two marks. */
const guides: Readonly<Record<string, string>> = {
  storage: 'guides/choose-a-storage.md',
  transport: 'guides/choose-a-transport.md',
}

/** Writes the newest tables into the guides below `docs`; says which it wrote. What was not measured stays as it is. */
export function writeGuides(told: readonly Told[], docs: string): string[] {
  return told.flatMap(({ part: { name }, result }) => {
    const path = guides[name] && join(docs, guides[name])
    if (!result || !path || !existsSync(path)) return []
    const [begin, end] = [`<!-- measured: ${name} -->`, `<!-- end of measured: ${name} -->`]
    const text = readFileSync(path, 'utf8')
    const [from, to] = [text.indexOf(begin), text.indexOf(end)]
    if (from < 0 || to < from) throw new Error(`${path} has no place for the tables: write ${begin} and ${end} in it`)
    const tables = result.tables.map(
      ({ name: table, title, columns }) =>
        `**${title}**\n\n${tableOf(
          columns,
          result.rows.filter((row) => row.table === table),
        )}`,
    )
    writeFileSync(path, `${text.slice(0, from + begin.length)}\n\n${tables.join('\n\n')}\n\n${text.slice(to)}`)
    return [path]
  })
}
