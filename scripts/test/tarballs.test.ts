import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { inspect } from '../publish/tarballs.mjs'
import { type Package, readWorkspace, root } from '../workspace.mjs'

const contract = readWorkspace().find(({ folder }) => folder === 'contract') as Package
const right = {
  'package.json': '{ "name": "@raftkit/contract" }',
  'README.md': '# contract',
  LICENSE: 'MIT',
  'dist/index.js': 'export {}',
  'dist/index.js.map': '{}',
  'dist/index.d.ts': 'export {}',
}

const made: string[] = []
afterEach(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true })
})

/** Inspects a tarball of these files, as if it were the contract's. */
function inspectFiles(files: Record<string, string>) {
  const folder = mkdtempSync(join(tmpdir(), 'raftkit-tarball-'))
  made.push(folder)
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, 'package', path)), { recursive: true })
    writeFileSync(join(folder, 'package', path), text)
  }
  const file = join(folder, 'a.tgz')
  execFileSync('tar', ['-czf', file, '-C', folder, ...Object.keys(files).map((path) => `package/${path}`)])
  return inspect(contract, { name: contract.manifest.name, file })
}

it('lets a right tarball pass', () => inspectFiles(right))

it.each([
  ['the README is missing', { 'README.md': undefined }, 'no README.md'],
  ['a source is in it', { 'src/index.ts': 'export {}' }, 'src/index.ts is not for publishing'],
  ['the state of the compiler is in it', { 'dist/.tsbuildinfo': '{}' }, 'dist/.tsbuildinfo is not for publishing'],
  ['a removed source is still built', { 'dist/gone.d.ts': '' }, 'dist/gone.d.ts is left from an earlier build'],
  ['a range of the workspace is left', { 'package.json': '{ "a": "workspace:^" }' }, 'the manifest says workspace:'],
  ['it names the machine it was built on', { 'dist/index.js.map': root }, `it names ${root}`],
])('refuses it when %s', async (_, change, what) => {
  const files = Object.entries({ ...right, ...change }).filter(
    (file): file is [string, string] => file[1] !== undefined,
  )
  await expect(inspectFiles(Object.fromEntries(files))).rejects.toThrow(what)
})
