// @ts-check
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chapters, rules } from './rules.mjs'
import { root } from './workspace.mjs'

/*
 * Breaks one rule of the protocol at a time and runs the test that is said to notice: it must turn red by an assertion.
 * The tree is not touched: the broken line exists only in what vitest loads (see rules.vitest.mjs).
 *
 *   node scripts/mutate-rules.mjs            run all
 *   node scripts/mutate-rules.mjs word …     only rules whose text holds one of the words
 *   node scripts/mutate-rules.mjs --table    write docs/internals/rules.md
 *   node scripts/mutate-rules.mjs --check    fail if that page is not what --table would write
 */

const page = join(root, 'docs/internals/rules.md')
const temporary = mkdtempSync(join(tmpdir(), 'rules-'))
/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set()
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(temporary, { recursive: true, force: true })
})
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.on(signal, () => process.exit(130))

/** @typedef {import('./rules.mjs').Rule} Rule */

const sources = new Map()
/** @param {string} file @returns {string} */
const source = (file) => {
  if (!sources.has(file)) sources.set(file, readFileSync(join(root, file), 'utf8'))
  return sources.get(file)
}

/** The line at which the rule's text begins. @param {Rule} rule */
function lineOf({ file, find, rule }) {
  const parts = source(file).split(find)
  if (parts.length !== 2)
    throw new Error(
      `“${rule}”: its line stands ${parts.length - 1} times in ${file}, not once. Mend scripts/rules.mjs:\n${find}`,
    )
  return /** @type {string} */ (parts[0]).split('\n').length
}

/** @param {Rule} rule */
function requireTest({ test, name, rule }) {
  const stands = ["'", '"'].filter((quote) => source(test).includes(`(${quote}${name}${quote},`)).length
  if (stands !== 1) throw new Error(`“${rule}”: ${test} has no test named “${name}”`)
}

function table() {
  const lines = [
    '# The rules, where they are kept, and what notices when they are not',
    '',
    'Every rule of the Raft paper (Ongaro and Ousterhout, extended version) and of the chapters of the thesis (Ongaro, 2014) that Raftkit',
    'implements, with the line that keeps it and the test that turns red when this line is broken. `npm run mutate-rules` breaks each of',
    'them in turn. This page is made by `node scripts/mutate-rules.mjs --table` from `scripts/rules.mjs`; do not edit it.',
  ]
  const cell = (/** @type {string} */ text) => text.replaceAll('|', '\\|')
  for (const { title, rules: some } of chapters) {
    lines.push('', `## ${title}`, '', '| Where | Rule | Kept by | Noticed by |', '|---|---|---|---|')
    for (const rule of some) {
      const line = lineOf(rule)
      const snippet = /** @type {string} */ (rule.find.trim().split('\n')[0]).trim()
      const quoted = snippet.includes('`') ? `\`\` ${cell(snippet)} \`\`` : `\`${cell(snippet)}\``
      lines.push(
        `| ${cell(rule.from)} | ${cell(rule.rule)} | [${rule.file.split('/').at(-1)}:${line}](../../${rule.file}#L${line}) ${quoted} | [${rule.test.split('/').at(-1)}](../../${rule.test}): ${cell(rule.name)} |`,
      )
    }
  }
  return `${lines.join('\n')}\n`
}

/** @param {Rule} rule @param {number} at @returns {Promise<string>} `killed`, or why not */
function run(rule, at) {
  const result = join(temporary, `${at}.json`)
  const pattern = `${rule.name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`
  const args = [
    'node_modules/vitest/vitest.mjs',
    'run',
    '--config',
    'scripts/rules.vitest.mjs',
    rule.test,
    '-t',
    pattern,
  ]
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...args, '--reporter=json', `--outputFile.json=${result}`], {
      cwd: root,
      env: {
        ...process.env,
        RAFTKIT_MUTATION: JSON.stringify([{ file: join(root, rule.file), find: rule.find, put: rule.put }]),
      },
      stdio: 'ignore',
    })
    children.add(child)
    const patience = setTimeout(() => child.kill('SIGKILL'), 60_000)
    child.on('close', (code) => {
      clearTimeout(patience)
      children.delete(child)
      /** @type {any} */
      let report
      try {
        report = JSON.parse(readFileSync(result, 'utf8'))
      } catch {
        return resolve(`no result (the runner ended with ${code})`)
      }
      const ran = report.testResults
        .flatMap((/** @type {any} */ file) => file.assertionResults)
        .filter((/** @type {any} */ test) => test.status === 'passed' || test.status === 'failed')
      if (ran.length !== 1) return resolve(`${ran.length} tests ran: ${report.testResults[0]?.message ?? ''}`)
      if (ran[0].status === 'passed') return resolve('survived')
      const message = String(ran[0].failureMessages[0]).split('\n')[0]
      resolve(
        /^AssertionError/.test(/** @type {string} */ (message)) ? 'killed' : `red, but by no assertion: ${message}`,
      )
    })
  })
}

const options = process.argv.slice(2)
/** @type {string[]} */
const faults = []
for (const rule of rules) {
  for (const check of [lineOf, requireTest]) {
    try {
      check(rule)
    } catch (error) {
      faults.push(/** @type {Error} */ (error).message)
    }
  }
}
if (faults.length > 0) {
  console.error(faults.join('\n'))
  process.exit(1)
}
if (options.includes('--table')) {
  writeFileSync(page, table())
  console.log(`${rules.length} rules in docs/internals/rules.md`)
} else if (options.includes('--check')) {
  if (readFileSync(page, 'utf8') !== table()) {
    console.error('docs/internals/rules.md is not up to date: run node scripts/mutate-rules.mjs --table')
    process.exitCode = 1
  }
} else {
  const chosen = rules.filter(
    (rule) => options.length === 0 || options.some((word) => JSON.stringify(rule).includes(word)),
  )
  /** @type {string[]} */
  const verdicts = []
  let next = 0
  const worker = async () => {
    while (next < chosen.length) {
      const at = next++
      const rule = /** @type {Rule} */ (chosen[at])
      verdicts[at] = await run(rule, at)
      console.log(
        `${verdicts[at] === 'killed' ? 'killed  ' : 'SURVIVED'}  ${rule.from}: ${rule.rule}${verdicts[at] === 'killed' ? '' : `  (${verdicts[at]})`}`,
      )
    }
  }
  await Promise.all([worker(), worker()])
  const survived = chosen.filter((_, at) => verdicts[at] !== 'killed').map(({ from, rule }) => `${from}: ${rule}`)
  console.log(JSON.stringify({ rules: chosen.length, killed: chosen.length - survived.length, survived }))
  if (survived.length > 0) process.exitCode = 1
}
