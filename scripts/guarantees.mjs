// @ts-check
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { root } from './workspace.mjs'

/*
 * Runs the commands that measure how well Raftkit is proven, and writes what they say into docs/guarantees/figures.md.
 *
 *   npm run guarantees                    all campaigns, about an hour on two cores
 *   npm run guarantees -- simulate chaos  some of them; the figures of the others stay
 */

/** @type {Record<string, { readonly command?: string, readonly args: readonly string[], readonly shows: string }>} `command`: absent, the name is one. */
const campaigns = {
  simulate: {
    args: ['--seeds', '1000', '--events', '20000'],
    shows: 'whole clusters in a virtual world, with faults, every invariant checked after every event',
  },
  modelcheck: { args: [], shows: 'all interleavings of the real core within bounds' },
  mutants: { args: ['--first'], shows: 'known bugs planted one at a time, and what notices' },
  chaos: {
    args: ['--seconds', '300'],
    shows: 'real processes under clients and faults, histories checked from outside',
  },
  'simulate-bft': {
    command: 'simulate',
    args: ['--protocol', 'bft', '--seeds', '1000'],
    shows: 'certified Raft with members that lie, every fault of the catalogue',
  },
  'modelcheck-bft': {
    command: 'modelcheck',
    args: ['--protocol', 'bft'],
    shows: 'the voting rules of certified Raft, against all that one liar can sign',
  },
  'mutants-bft': {
    command: 'mutants',
    args: ['--protocol', 'bft', '--first'],
    shows: 'known bugs of Byzantine-tolerant Rafts planted one at a time, and what notices',
  },
  'demo:ledger': {
    args: [],
    shows: 'four organisations: one lies in three ways, one is killed, and the liar is exchanged for a fifth',
  },
}

const store = join(root, 'docs/guarantees/figures.json')
const page = join(root, 'docs/guarantees/figures.md')

/** @typedef {{ command: string, date: string, machine: string, figures: Record<string, unknown> }} Figures */
/** @type {Record<string, Figures>} */
const known = existsSync(store) ? JSON.parse(readFileSync(store, 'utf8')) : {}

/** @param {string} name @param {readonly string[]} args @returns {Promise<Record<string, unknown>>} */
function run(name, args) {
  return new Promise((resolve, reject) => {
    const child = spawn('npm', ['run', '--silent', name, '--', ...args], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let out = ''
    child.stdout.on('data', (chunk) => {
      process.stdout.write(chunk)
      out += chunk
    })
    child.on('close', (code) => {
      if (code !== 0) return reject(new Error(`npm run ${name} ended with ${code}; its figures are not written down`))
      resolve(JSON.parse(out.trim().split('\n').at(-1) ?? ''))
    })
  })
}

/** @param {unknown} value @returns {string} */
function show(value) {
  if (typeof value === 'number') return value.toLocaleString('en-US', { maximumFractionDigits: 4 })
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map(show).join('; ')
  if (typeof value === 'object' && value !== null)
    return Object.entries(value)
      .map(([name, each]) => `${name} ${show(each)}`)
      .join(', ')
  return String(value)
}

function render() {
  const lines = [
    '# Figures',
    '',
    '*What the commands said when they last ran. Written by `npm run guarantees`; do not edit it.*',
  ]
  for (const [name, { shows }] of Object.entries(campaigns)) {
    const last = known[name]
    lines.push('', `## ${name}`, '', `${shows[0]?.toUpperCase()}${shows.slice(1)}.`, '')
    if (!last) {
      lines.push('Not run yet.')
      continue
    }
    lines.push(`\`${last.command}\`, ${last.date}, ${last.machine}`, '', '| figure | value |', '|---|---|')
    for (const [figure, value] of Object.entries(last.figures))
      lines.push(`| ${figure} | ${show(value).replaceAll('|', '\\|')} |`)
  }
  writeFileSync(page, `${lines.join('\n')}\n`)
}

const { positionals } = parseArgs({ allowPositionals: true })
for (const name of positionals)
  if (!campaigns[name]) throw new Error(`there is no campaign ${name}: ${Object.keys(campaigns)}`)
for (const [name, { command = name, args }] of Object.entries(campaigns)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue
  const figures = await run(command, args)
  known[name] = {
    command: ['npm run', command, ...(args.length > 0 ? ['--', ...args] : [])].join(' '),
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus().length} cores (${cpus()[0]?.model.trim()}), Node ${process.versions.node}`,
    figures,
  }
  writeFileSync(store, `${JSON.stringify(known, undefined, 2)}\n`)
  render()
}
render()
