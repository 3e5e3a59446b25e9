// @ts-check
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../workspace.mjs'

/** @typedef {import('./catalogue.mjs').Mutant} Mutant */
/** @typedef {[file: string, find: string, put: string]} Edit */

/**
 * @param {string} id
 * @param {string} row
 * @param {string} bug
 * @param {string} had
 * @param {...Edit} edits A file without a folder is one of core's
 * @returns {Mutant}
 */
export const plant = (id, row, bug, had, ...edits) => ({
  id,
  row,
  bug,
  had,
  changes: edits.map(([file, find, put]) => ({ file: path(file), find, put })),
})

/** @param {string} file */
function path(file) {
  const [folder, ...names] = file.includes('/') ? file.split('/') : ['core', file]
  return `packages/${folder}/src/${names.join('/')}.ts`
}

/** @type {Map<string, string>} */
const sources = new Map()

/** How often the text of a change stands in its file. @param {import('./catalogue.mjs').Change} change */
export function placesOf({ file, find }) {
  if (!sources.has(file)) sources.set(file, readFileSync(join(root, file), 'utf8'))
  return /** @type {string} */ (sources.get(file)).split(find).length - 1
}
