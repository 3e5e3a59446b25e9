// @ts-check
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { root } from '../workspace.mjs'

/**
 * What runs the sources with a bug in them, and says whether it noticed.
 *
 * @typedef {object} Verdict
 * @property {'caught' | 'passed' | 'crashed' | 'timeout'} outcome
 *   caught: by an assertion, an invariant or a checker; crashed: it failed in any other way, which proves nothing
 * @property {string} [by]     The test, the invariant, the scope …
 * @property {string} [after]  How much it took: tests, events, states
 *
 * @typedef {(changes: readonly import('./catalogue.mjs').Change[], name: string) => Promise<Verdict>} Engine
 */

const temporary = mkdtempSync(join(tmpdir(), 'mutants-'))
/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set()
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(temporary, { recursive: true, force: true })
})
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.on(signal, () => process.exit(130))

/**
 * @param {readonly string[]} args
 * @param {Record<string, string>} environment
 * @param {number} seconds
 * @returns {Promise<{ code: number | null, out: string, complaints: string, timedOut: boolean }>}
 */
function run(args, environment, seconds) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, {
      cwd: root,
      env: { ...process.env, NO_COLOR: '1', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    children.add(child)
    let timedOut = false
    let out = ''
    let complaints = ''
    child.stdout.on('data', (chunk) => {
      out += chunk
    })
    child.stderr.on('data', (chunk) => {
      complaints = (complaints + chunk).slice(-4000)
    })
    const patience = setTimeout(() => {
      timedOut = true
      child.kill('SIGKILL')
    }, seconds * 1000)
    child.on('close', (code) => {
      clearTimeout(patience)
      children.delete(child)
      resolve({ code, out, complaints, timedOut })
    })
  })
}

/** What the product itself says when it finds a rule broken is a verdict, too, and so is what the referee in bft's tests says of a member. */
const isVerdict = (/** @type {string} */ message) =>
  /^Error: m\d (executed|leaves a gap|frames|applied|differs|votes)|^Error: no end at/.test(message) ||
  /^(AssertionError|Error: (expected|promise) |Violation|RaftkitError: (seed \d+, step \d+: )?(INVARIANT|DIVERGED|DAMAGED|MACHINE_MISMATCH))/.test(
    message,
  )

/**
 * The unit tests of the packages that were changed, until the first that fails.
 *
 * @param {readonly string[]} unchanged Whose tests run if none were
 * @param {readonly string[]} quick Test files that run before all others: most bugs end there
 * @returns {Engine}
 */
export const tests =
  (unchanged, quick = []) =>
  async (changes, name) => {
    const folders = new Set(changes.map(({ file }) => /** @type {string} */ (file.split('/')[1])))
    if (folders.has('membership')) folders.add('core')
    if (folders.size === 0) for (const folder of unchanged) folders.add(folder)
    if (changes.length > 0 && quick.length > 0) {
      const files = [...folders].flatMap((folder) => quick.map((file) => `packages/${folder}/test/${file}.test.ts`))
      const verdict = await vitest(files, changes, name)
      if (verdict.outcome === 'caught') return verdict
    }
    return vitest(
      [...folders].map((folder) => `packages/${folder}/test/`),
      changes,
      name,
    )
  }

/** @param {readonly string[]} files @param {readonly import('./catalogue.mjs').Change[]} changes @param {string} name @returns {Promise<Verdict>} */
async function vitest(files, changes, name) {
  const result = join(temporary, `${name}.json`)
  const { timedOut, complaints } = await run(
    [
      'node_modules/vitest/vitest.mjs',
      'run',
      '--config',
      'scripts/rules.vitest.mjs',
      ...files,
      '--passWithNoTests',
      '--bail=1',
      '--maxWorkers=1',
      '--reporter=json',
      `--outputFile.json=${result}`,
    ],
    { RAFTKIT_MUTATION: JSON.stringify(changes.map((change) => ({ ...change, file: join(root, change.file) }))) },
    240,
  )
  if (timedOut) return { outcome: 'timeout' }
  /** @type {any} */
  let report
  try {
    report = JSON.parse(readFileSync(result, 'utf8'))
  } catch {
    return { outcome: 'crashed', by: complaints.split('\n')[0] ?? '' }
  }
  const failed = report.testResults.flatMap((/** @type {any} */ file) =>
    file.assertionResults
      .filter((/** @type {any} */ test) => test.status === 'failed')
      .map((/** @type {any} */ test) => ({ file: file.name, ...test })),
  )
  const ran = report.numPassedTests + report.numFailedTests
  if (failed.length === 0)
    return report.success
      ? { outcome: 'passed', after: `${ran} tests` }
      : { outcome: 'crashed', by: String(report.testResults.find((/** @type {any} */ file) => file.message)?.message) }
  const telling = failed.find((/** @type {any} */ test) => isVerdict(String(test.failureMessages[0])))
  const { file, title, failureMessages } = telling ?? failed[0]
  if (!telling) return { outcome: 'crashed', by: `${title}: ${String(failureMessages[0]).split('\n')[0]}` }
  return { outcome: 'caught', by: `${file.split('/').at(-1).replace('.test.ts', '')}: ${title}`, after: `${ran} tests` }
}

/** One file with everything in it, from the sources, with the bug. @param {string} entry @param {readonly import('./catalogue.mjs').Change[]} changes @param {string} name */
async function bundle(entry, changes, name) {
  const outfile = join(temporary, `${name}.mjs`)
  await build({
    entryPoints: [join(root, entry)],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    logLevel: 'silent',
    sourcemap: false,
    // What a dependency still asks for by `require`.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    plugins: [
      {
        name: 'sources-with-a-bug',
        setup({ onResolve, onLoad }) {
          onResolve({ filter: /^(raftkit|@raftkit\/[^/]+)$/ }, ({ path }) => ({
            path: join(root, 'packages', path.replace('@raftkit/', ''), 'src/index.ts'),
          }))
          onLoad({ filter: /\.ts$/ }, ({ path }) => {
            const own = changes.filter(({ file }) => join(root, file) === path)
            if (own.length === 0) return undefined
            const text = own.reduce((text, { find, put }) => text.replace(find, () => put), readFileSync(path, 'utf8'))
            return { contents: text, loader: 'ts' }
          })
        },
      },
    ],
  })
  return outfile
}

/** The last line of JSON. @param {string} out @returns {any} */
function figures(out) {
  try {
    return JSON.parse(out.trim().split('\n').at(-1) ?? '')
  } catch {
    return undefined
  }
}

/** @param {readonly string[]} budget @returns {Engine} */
export const simulator = (budget) => async (changes, name) => {
  const file = await bundle('packages/simulator/src/cli.ts', changes, `${name}-simulate`)
  const { out, complaints, timedOut, code } = await run([file, ...budget], {}, 240)
  rmSync(file, { force: true })
  if (timedOut) return { outcome: 'timeout' }
  const report = figures(out)
  if (!report) return { outcome: 'crashed', by: complaints.trim().split('\n').at(-1) ?? `ended with ${code}` }
  if (report.violations === 0) return { outcome: 'passed', after: `${report.events} events` }
  const { invariant, seed, events } = report.first
  return { outcome: 'caught', by: invariant, after: `${report.events} events (seed ${seed}, ${events} of them)` }
}

/** @param {readonly string[]} budget @returns {Engine} */
export const modelChecker = (budget) => async (changes, name) => {
  const file = await bundle('packages/modelcheck/src/cli.ts', changes, `${name}-modelcheck`)
  const { out, complaints, timedOut, code } = await run([file, ...budget], {}, 240)
  rmSync(file, { force: true })
  if (timedOut) return { outcome: 'timeout' }
  const report = figures(out)
  if (!report) return { outcome: 'crashed', by: complaints.trim().split('\n').at(-1) ?? `ended with ${code}` }
  if (report.violations === 0) return { outcome: 'passed', after: `${report.distinctStates} states` }
  const { invariant, scope, states } = report.first
  return { outcome: 'caught', by: `${scope}: ${invariant}`, after: `${states} states` }
}
