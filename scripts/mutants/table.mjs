// @ts-check
import { reasons } from './survivors.mjs'

/** @typedef {import('./engines.mjs').Verdict} Verdict */
/** @typedef {{ mutant: import('./catalogue.mjs').Mutant, verdicts: Record<string, Verdict> }} Result */

const cell = (/** @type {string} */ text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')

/** @param {Verdict | undefined} verdict */
function words(verdict) {
  if (!verdict) return '·'
  const { outcome, by, after } = verdict
  if (outcome === 'passed') return '–'
  if (outcome === 'caught') return cell(`${by}; ${after}`)
  return cell(`(${outcome})`)
}

/**
 * The page of planted bugs.
 *
 * @param {string} protocol
 * @param {readonly { readonly title: string, readonly mutants: readonly import('./catalogue.mjs').Mutant[] }[]} chapters
 * @param {readonly Result[]} results
 * @param {Record<string, Verdict>} control
 * @param {readonly string[]} inapplicable
 */
export function table(protocol, chapters, results, control, inapplicable) {
  const command = protocol === 'raft' ? 'npm run mutants' : `npm run mutants -- --protocol ${protocol}`
  const caught = results.filter(({ verdicts }) => Object.values(verdicts).some(({ outcome }) => outcome === 'caught'))
  const by = (/** @type {string} */ engine) =>
    results.filter(({ verdicts }) => verdicts[engine]?.outcome === 'caught').length
  const lines = [
    protocol === 'raft'
      ? '# Planted bugs, and what catches them'
      : '# Planted bugs of certified Raft, and what catches them',
    '',
    '*Answers: how good are the tests? Bugs that other implementations really had are put into ours, one at a time.*',
    '',
    `Of ${results.length} planted bugs, ${caught.length} are caught: ${by('tests')} by the tests, ${by('simulator')} by the simulator, ${by('modelcheck')} by the model checker. `,
    'Caught means that an assertion failed, an invariant was broken or a checker said so; a crash, a load failure or a timeout is not counted.',
    `Unchanged, the sources pass the same budget: ${Object.entries(control)
      .map(([engine, { after }]) => `${engine} ${after}`)
      .join(', ')}.`,
    'A dash: not noticed within the budget (`scripts/mutants.mjs`). A dot: not tried, since another engine had caught it (`--first`). This page is written by `' +
      command +
      '`; do not edit it.',
  ]
  for (const { title, mutants } of chapters) {
    lines.push(
      '',
      `## ${title}`,
      '',
      '| bug | rows | who had it | tests | simulator | model checker |',
      '|---|---|---|---|---|---|',
    )
    for (const { id, bug, had, row } of mutants) {
      const result = results.find(({ mutant }) => mutant.id === id)
      const { tests, simulator, modelcheck } = result?.verdicts ?? {}
      lines.push(
        `| **${id}**: ${cell(bug)} | ${row} | ${cell(had)} | ${words(tests)} | ${words(simulator)} | ${words(modelcheck)} |`,
      )
    }
  }
  const survivors = results.filter((result) => !caught.includes(result))
  lines.push('', '## Not caught', '')
  if (survivors.length === 0) lines.push('None.')
  for (const { mutant } of survivors)
    lines.push(`- **${mutant.id}**: ${reasons[mutant.id] ?? 'an open test: nothing notices it yet.'}`)
  if (inapplicable.length > 0) lines.push('', '## Not planted', '', ...inapplicable.map((line) => `- ${line}`))
  return `${lines.join('\n')}\n`
}
