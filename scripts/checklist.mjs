// @ts-check
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { mutants } from './mutants/catalogue.mjs'
import { root } from './workspace.mjs'

/*
 * The last column of docs/guarantees/checklist.md: the planted bugs of each row, from the catalogue.
 *
 *   node scripts/checklist.mjs    fills it in
 */

export const page = join(root, 'docs/guarantees/checklist.md')

/** @typedef {{ id: string, hazard: string, held: string, planted: string }} Row */

const rowPattern = /^\| ([A-Z]\d+) \| (.*?) \| (.*) \| ?(.*?) ?\|$/

/** @param {string} text @returns {Row[]} */
export function rowsOf(text) {
  return text.split('\n').flatMap((line) => {
    const [, id = '', hazard = '', held = '', planted = ''] = rowPattern.exec(line) ?? []
    return id ? [{ id, hazard, held, planted }] : []
  })
}

/** Names of the bugs that the catalogue plants for that row. @param {string} id */
export function plantedFor(id) {
  return mutants.filter(({ row }) => row.split(', ').includes(id)).map((mutant) => mutant.id)
}

/** @param {string} text */
export function filled(text) {
  const lines = text.split('\n').map((line) => {
    const [, id, hazard, held] = rowPattern.exec(line) ?? []
    if (id === undefined) return line
    const names = plantedFor(id).map((name) => `\`${name}\``)
    return `| ${id} | ${hazard} | ${held} | ${names.join(' ')} |`
  })
  return lines.join('\n')
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  writeFileSync(page, filled(readFileSync(page, 'utf8')))
}
