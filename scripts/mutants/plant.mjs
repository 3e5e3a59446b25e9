// @ts-check

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
  const [folder, name] = file.includes('/') ? file.split('/') : ['core', file]
  return `packages/${folder}/src/${name}.ts`
}
