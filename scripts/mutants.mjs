// @ts-check
import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import * as bft from './mutants/bft.mjs'
import * as raft from './mutants/catalogue.mjs'
import { modelChecker, simulator, tests } from './mutants/engines.mjs'
import { placesOf } from './mutants/plant.mjs'
import { table } from './mutants/table.mjs'
import { root } from './workspace.mjs'

/*
 * Plants known bugs in the sources, one at a time, and runs what must notice: the tests, the simulator, the model checker.
 * The tree is not touched: a bug exists only in what is loaded. The sources as they are run the same budget first, and must pass.
 *
 *   npm run mutants                       all of them; writes docs/guarantees/mutants.md
 *   npm run mutants -- --protocol bft     those of certified Raft; writes docs/guarantees/bft-mutants.md
 *   npm run mutants -- --only word,word   those whose name or row holds one of the words
 *   npm run mutants -- --sample 20        every so manieth, so that about 20 are left
 *   npm run mutants -- --engines tests,simulator,modelcheck
 *   npm run mutants -- --first            a bug that one engine has caught is not run by the others: a sixth of the time
 */

/** @typedef {import('./mutants/catalogue.mjs').Mutant} Mutant */
/** @typedef {import('./mutants/engines.mjs').Verdict} Verdict */
/** @typedef {Record<string, Verdict>} Verdicts */

const { values } = parseArgs({
  options: {
    protocol: { type: 'string', default: 'raft' },
    only: { type: 'string' },
    sample: { type: 'string' },
    engines: { type: 'string', default: 'tests,simulator,modelcheck' },
    first: { type: 'boolean', default: false },
    workers: { type: 'string', default: String(Math.min(4, availableParallelism())) },
  },
})

/** What each engine may spend on one bug. The simulator and the model checker end with the first violation. */
const protocols = {
  raft: {
    chapters: raft.chapters,
    inapplicable: [],
    page: 'docs/guarantees/mutants.md',
    engines: {
      tests: tests(['core']),
      simulator: simulator(['--seeds', '24', '--events', '6000', '--workers', '1', '--first', '--no-shrink', '--json']),
      modelcheck: modelChecker(['--states', '12000', '--workers', '1', '--json']),
    },
  },
  bft: {
    chapters: bft.chapters,
    inapplicable: bft.inapplicable,
    page: 'docs/guarantees/bft-mutants.md',
    // The fastest first.
    engines: {
      modelcheck: modelChecker('--protocol bft --states 20000 --workers 1 --json'.split(' ')),
      tests: tests(['bft', 'bft-client'], 'member tally certificate entry encoding epochs evidence'.split(' ')),
      simulator: simulator('--protocol bft --seeds 12 --lasts 2000 --workers 1 --first --json'.split(' ')),
    },
  },
}
if (values.protocol !== 'raft' && values.protocol !== 'bft')
  throw new Error(`--protocol is ${values.protocol}; give raft or bft`)
const { chapters, inapplicable, page, engines: all } = protocols[values.protocol]
const mutants = chapters.flatMap(({ mutants: some }) => some)
const engines = Object.entries(all).filter(([name]) => values.engines.split(',').includes(name))

const show = (/** @type {Verdicts} */ verdicts) =>
  Object.entries(verdicts)
    .map(([engine, { outcome, by, after }]) => `${engine}: ${[outcome, by, after].filter(Boolean).join(', ')}`)
    .join('\n    ')

/** @param {Mutant | undefined} mutant */
async function run(mutant) {
  /** @type {Verdicts} */
  const verdicts = {}
  for (const [name, engine] of engines) {
    verdicts[name] = await engine(mutant?.changes ?? [], mutant?.id ?? 'unchanged')
    if (values.first && mutant && verdicts[name].outcome === 'caught') break
  }
  return verdicts
}

for (const { id, changes } of mutants)
  for (const change of changes) {
    const places = placesOf(change)
    if (places !== 1)
      throw new Error(
        `${id}: its text stands ${places} times in ${change.file}, not once. Mend scripts/mutants:\n${change.find}`,
      )
  }
const words = values.only?.split(',')
const every = values.sample ? Math.max(1, Math.round(mutants.length / Number(values.sample))) : 1
const chosen = mutants.filter(
  ({ id, row }, at) => at % every === 0 && (!words || words.some((word) => id.includes(word) || row.includes(word))),
)
const began = Date.now()
const seconds = () => Math.round((Date.now() - began) / 1000)

const control = await run(undefined)
console.log(`unchanged\n    ${show(control)}`)
const sound = Object.values(control).every(({ outcome }) => outcome === 'passed')
if (!sound) console.error('the sources as they are do not pass this budget: what it says of bugs means nothing')

/** @type {{ mutant: Mutant, verdicts: Verdicts }[]} */
const results = []
let next = 0
const worker = async () => {
  while (next < chosen.length) {
    const at = next++
    const mutant = /** @type {Mutant} */ (chosen[at])
    const verdicts = await run(mutant)
    results[at] = { mutant, verdicts }
    const caught = Object.values(verdicts).some(({ outcome }) => outcome === 'caught')
    console.log(`${caught ? 'caught  ' : 'SURVIVED'}  ${mutant.id} (${mutant.row})\n    ${show(verdicts)}`)
  }
}
await Promise.all(Array.from({ length: Number(values.workers) }, worker))

const by = (/** @type {string} */ engine) =>
  results.filter(({ verdicts }) => verdicts[engine]?.outcome === 'caught').length
const survived = results
  .filter(({ verdicts }) => !Object.values(verdicts).some(({ outcome }) => outcome === 'caught'))
  .map(({ mutant }) => mutant.id)
for (const line of inapplicable) console.log(`not planted  ${line}`)
const apart = (/** @type {string} */ what) =>
  results.filter(({ verdicts }) => Object.values(verdicts).some(({ outcome }) => outcome === what)).length
const caught = results.length - survived.length
if (sound && chosen.length === mutants.length && engines.length === 3)
  writeFileSync(join(root, page), table(values.protocol, chapters, results, control, inapplicable))
console.log(
  JSON.stringify({
    protocol: values.protocol,
    planted: results.length,
    caught,
    share: Number((caught / results.length).toFixed(4)),
    byTests: by('tests'),
    bySimulator: by('simulator'),
    byModelChecker: by('modelcheck'),
    crashed: apart('crashed'),
    timeouts: apart('timeout'),
    unchangedPasses: sound,
    survived,
    seconds: seconds(),
  }),
)
if (!sound || caught < results.length * 0.95) process.exitCode = 1
