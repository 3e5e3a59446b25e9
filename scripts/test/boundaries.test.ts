import { describe, expect, it } from 'vitest'
import { findings } from '../boundaries.mjs'
import type { Package } from '../workspace.mjs'

/** A package that is right, but for what the test changes. */
function sample(folder: string, code: string, change: Partial<Package> = {}): Package {
  const dependencies = Object.fromEntries(
    [...code.matchAll(/from '(raftkit|@raftkit\/[^/']+)/g)].map(([, name]) => [name ?? '', 'workspace:^']),
  )
  return {
    parent: 'packages',
    folder,
    manifest: {
      name: folder === 'raftkit' ? folder : `@raftkit/${folder}`,
      version: '0.0.0',
      exports: { '.': './dist/index.js', './package.json': './package.json' },
      dependencies,
    },
    references: Object.keys(dependencies).map((name) => `../${name.replace('@raftkit/', '')}`),
    src: [{ path: 'src/index.ts', text: code }],
    test: [],
    ...change,
  }
}

const house = ['contract', 'bytes', 'membership', 'files'].map((folder) => sample(folder, 'export {}'))
const testing = sample('testing', 'export {}')
testing.manifest.private = true
house.push(testing)
const check = (checked: Package) => findings([...house.filter((p) => p.folder !== checked.folder), checked])

describe('imports point down', () => {
  it.each([
    ['core', `import { reader } from '@raftkit/bytes'`],
    ['storage-level', `import { lock } from '@raftkit/files'\nimport { open } from 'node:fs/promises'`],
    ['raftkit', `const fs = process.getBuiltinModule('node:fs')`],
    ['core', `import { rule } from './rule.ts'`],
  ])('%s may: %s', (folder, code) => expect(check(sample(folder, code))).toEqual([]))

  it.each([
    ['bytes', `import { joint } from '@raftkit/membership'`, 'bytes may not import membership'],
    ['core', `import { joint } from '@raftkit/membership'`, 'core may not import membership'],
    ['contract', `export * from '@raftkit/bytes'`, 'contract may not import bytes'],
    ['transport-tcp', `import type { F } from '@raftkit/files'`, 'transport-tcp may not import files'],
    ['core', `type F = import('@raftkit/files').F`, 'core may not import files'],
    ['core', `import { word } from '../../contract/src/words.ts'`, 'leaves the package'],
    ['core', `import manifest from '../package.json'`, 'leaves src'],
    ['core', `import { word } from '@raftkit/contract/dist/words.js'`, 'reaches into the files of @raftkit/contract'],
    ['core', `import { self } from '@raftkit/core'`, 'by their relative path'],
    ['files', `import leftPad from 'left-pad'`, 'left-pad is not among the dependencies'],
    ['raftkit', `import { join } from 'node:path'`, 'no static import of node:path'],
    ['raftkit', `import type { Hash } from 'crypto'`, 'no static import of crypto'],
    ['cache', 'export {}', 'cache has no place in the house'],
  ])('%s may not: %s', (folder, code, what) => expect(check(sample(folder, code)).join('\n')).toContain(what))

  it('a test may import any package by name, and none by its files', () => {
    const test = (text: string) => [{ path: 'test/a.test.ts', text }]
    const named = sample('bytes', 'export {}', { test: test(`import { joint } from '@raftkit/membership'`) })
    const deep = sample('bytes', 'export {}', { test: test(`import { joint } from '../../membership/src/joint.ts'`) })
    expect(check(named)).toEqual([])
    expect(check(deep).join()).toContain('leaves the package')
  })

  it('what is for tests, only tests import: neither packages nor apps; and it is not published', () => {
    const code = `import { until } from '@raftkit/testing'`
    const only = 'may not import testing: only tests do'
    expect(check(sample('bytes', 'export {}', { test: [{ path: 'test/a.test.ts', text: code }] }))).toEqual([])
    expect(check(sample('bytes', code)).join()).toContain(`bytes ${only}`)
    expect(check(sample('kv', code, { parent: 'apps' })).join()).toContain(`kv ${only}`)
    expect(check(sample('kv', code, { parent: 'apps' })).join()).toContain('kv may not depend on testing')
    expect(check(sample('testing', 'export {}')).join()).toContain('testing is for tests, and so private')
  })
})

describe('manifests agree with imports', () => {
  const code = `import { reader } from '@raftkit/bytes'`
  const right = sample('core', code)
  const withManifest = (change: Partial<Package['manifest']>) =>
    check({ ...right, manifest: { ...right.manifest, ...change } }).join('\n')

  it('an import without its dependency is found', () => {
    expect(withManifest({ dependencies: {} })).toContain('@raftkit/bytes is not among the dependencies')
  })
  it('a dependency without an import is found', () => {
    const manifest = {
      ...right.manifest,
      dependencies: { '@raftkit/bytes': 'workspace:^', '@raftkit/contract': 'workspace:^' },
    }
    expect(check({ ...right, manifest }).join()).toContain('no source imports the dependency @raftkit/contract')
  })
  it('a foreign dependency of a package that runs anywhere is found', () => {
    const dependencies = { '@raftkit/bytes': 'workspace:^', 'left-pad': '^1.0.0' }
    expect(withManifest({ dependencies })).toContain('core has no foreign dependency, so not left-pad')
  })
  it('peer dependencies inside the house and fixed ranges are found', () => {
    expect(withManifest({ peerDependencies: { '@raftkit/bytes': 'workspace:^' } })).toContain('not a peer')
    expect(withManifest({ dependencies: { '@raftkit/bytes': '^1.0.0' } })).toContain('wanted as workspace:^')
  })
  it('project references that differ from the dependencies are found', () => {
    expect(check({ ...right, references: [] }).join()).toContain('no reference to the dependency @raftkit/bytes')
    expect(check({ ...right, references: ['../bytes', '../files'] }).join()).toContain('references files')
  })
  it('a package of another name is found', () => {
    expect(withManifest({ name: 'core' })).toContain('packages/core is named @raftkit/core')
  })
})

describe('pure packages are pure', () => {
  it.each([
    'const t = Date.now()',
    'const t = new Date()',
    'let at: Date',
    'const t = performance.now()',
    'const r = Math.random()',
    `const r = Math['random']()`,
    'const { random } = Math',
    'const m = Math',
    'crypto.getRandomValues(a)',
    'setTimeout(run, 1)',
    'setImmediate(run)',
    'queueMicrotask(run)',
    'const p: Promise<void> = q',
    'Promise.resolve()',
    'async function f() {}',
    'const f = async () => 1',
    'const x = await y',
    'for await (const x of y) run(x)',
    'class A { async run() {} }',
    `const m = import('./later.ts')`,
    'const e = process.env',
    'const g = globalThis',
    'const o = { process }',
    'const u = import.meta.url',
    'declare const secret: number',
    'const w = new WeakRef(o)',
    'new FinalizationRegistry(run)',
    `const f = new Function('return 1')`,
    'a.sort((x, y) => x.localeCompare(y))',
    'new Intl.Collator()',
  ])('core may not: %s', (code) => expect(check(sample('core', code)).join()).toContain('is impure'))

  it.each([
    'const a = Math.max(1, 2)',
    'const t = event.Date',
    'const o = { process: 1, Promise: 2 }',
    'class A { process(): void {} }',
    'interface A { crypto: number }',
    'const { performance: p } = o',
    '/** A {@link Promise} of Date.now() */ export {}',
  ])('core may: %s', (code) => expect(check(sample('core', code))).toEqual([]))

  it('the contract may name promises in types, and make none', () => {
    expect(check(sample('contract', 'interface A { close(): Promise<void> }'))).toEqual([])
    expect(check(sample('contract', 'const p = Promise.resolve()')).join()).toContain('is impure')
    expect(check(sample('contract', 'async function f() {}')).join()).toContain('is impure')
  })
  it('the runtime and the adapters may be as impure as they need', () => {
    expect(check(sample('raftkit', 'const t = Date.now()'))).toEqual([])
  })
})
