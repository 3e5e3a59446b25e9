// @ts-check
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../run.mjs'

/** @typedef {import('./tarballs.mjs').Tarball} Tarball */
/** @typedef {{ template: string, runner: string, passed: number, skipped: number, milliseconds: number }} Passed */

const runners = /** @type {const} */ (['node', 'vitest'])

/**
 * Copies a template adapter out of the installed package, as its author would, installs the tarballs there with npm, and runs its tests
 * under node:test and under vitest. Rejects when one fails, or when suspiciously few ran.
 * @param {string} template @param {string} consumer where the packages are installed @param {string} at where to copy it
 * @param {readonly Tarball[]} tarballs @returns {Promise<Passed[]>}
 */
export async function runTemplate(template, consumer, at, tarballs) {
  cpSync(join(consumer, 'node_modules/@raftkit/compliance/template', template), at, { recursive: true })
  const path = join(at, 'package.json')
  const manifest = JSON.parse(readFileSync(path, 'utf8'))
  const packed = new Map(tarballs.map(({ name, file }) => [name, `file:${file}`]))
  for (const dependencies of [manifest.dependencies, manifest.devDependencies])
    for (const name of Object.keys(dependencies)) dependencies[name] = packed.get(name) ?? dependencies[name]
  // Nothing of ours is asked of a registry: what these packages depend on is packed as well.
  manifest.overrides = Object.fromEntries(packed)
  writeFileSync(path, JSON.stringify(manifest, null, 2))
  await run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: at })

  const all = []
  for (const runner of runners) {
    const begin = performance.now()
    const output = await run('npm', ['run', '--silent', `test:${runner}`], { cwd: at, env })
    const { passed, skipped } = /** @type {(output: string) => { passed: number, skipped: number }} */ (counts[runner])(
      output,
    )
    if (passed < 30) throw new Error(`the ${template} template under ${runner}: only ${passed} tests passed\n${output}`)
    all.push({ template, runner, passed, skipped, milliseconds: Math.round(performance.now() - begin) })
  }
  return all
}

// A runner that stands around us must not change what these print.
const { VITEST: _, NODE_OPTIONS: __, NODE_TEST_CONTEXT: ___, FORCE_COLOR: ____, ...rest } = process.env
const env = { ...rest, NO_COLOR: '1' }

/** @param {string} output @param {RegExp} what */
const number = (output, what) => Number(what.exec(output)?.[1] ?? 0)

/** What they print at the end. @type {Record<string, (output: string) => { passed: number, skipped: number }>} */
const counts = {
  node: (output) => ({ passed: number(output, /^\S+ pass (\d+)$/m), skipped: number(output, /^\S+ skipped (\d+)$/m) }),
  vitest: (output) => ({
    passed: number(output, /^\s+Tests\b.*?(\d+) passed/m),
    skipped: number(output, /^\s+Tests\b.*?(\d+) skipped/m),
  }),
}
