// @ts-check
import { cpSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../run.mjs'
import { root } from '../workspace.mjs'

/** @typedef {import('./tarballs.mjs').Tarball} Tarball */
/** @typedef {{ module: string, moduleResolution: string }} Resolution */

/**
 * An empty project outside the workspace, with all tarballs installed by npm, as a stranger would have it.
 * @param {string} at @param {readonly Tarball[]} tarballs
 */
export async function installConsumer(at, tarballs) {
  mkdirSync(at, { recursive: true })
  const manifest = {
    name: 'consumer',
    private: true,
    type: 'module',
    dependencies: Object.fromEntries(tarballs.map(({ name, file }) => [name, `file:${file}`])),
    devDependencies: { typescript: '~6.0.3', '@types/node': '^20.19.0' },
    // Without it npm would ask the registry for the packages that the tarballs depend on.
    overrides: Object.fromEntries(tarballs.map(({ name }) => [name, `$${name}`])),
  }
  writeFileSync(join(at, 'package.json'), JSON.stringify(manifest, null, 2))
  await run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: at })
}

const resolutions = [
  { module: 'nodenext', moduleResolution: 'nodenext' },
  { module: 'esnext', moduleResolution: 'bundler' },
]

/**
 * Type checks all declarations of all packages, and programs that use them, with the defaults of TypeScript 6:
 * in both ways that modules are resolved, with the types of Node and with none installed at all.
 * @param {string} at @param {readonly Tarball[]} tarballs @param {readonly string[]} programs @param {(what: string) => void} progress
 * @returns {Promise<number>} how many checks there were
 */
export async function checkTypes(at, tarballs, programs, progress) {
  writeFileSync(
    join(at, 'every-package.ts'),
    tarballs.map(({ name }, i) => `import * as p${i} from '${name}'\nexport const k${i}: object = p${i}\n`).join(''),
  )
  cpSync(join(root, 'scripts/publish/front-door.ts'), join(at, 'front-door.ts'))
  const neutral = ['every-package.ts', 'front-door.ts']
  const types = join(at, 'node_modules/@types')
  const setAside = join(at, 'node_modules/.types-set-aside')

  for (const resolution of resolutions) {
    await tsc(at, { ...resolution, noEmit: true, types: ['node'] }, [...neutral, ...programs])
    progress(`${resolution.moduleResolution} with @types/node`)
    renameSync(types, setAside)
    try {
      await tsc(at, { ...resolution, noEmit: true }, neutral)
    } finally {
      renameSync(setAside, types)
    }
    progress(`${resolution.moduleResolution} without @types/node`)
  }
  return resolutions.length * 2
}

/** @param {string} at @param {readonly string[]} files what to compile into at/dist, for the oldest Node */
export async function compile(at, files) {
  const options = {
    module: 'nodenext',
    moduleResolution: 'nodenext',
    target: 'es2022',
    types: ['node'],
    outDir: 'dist',
  }
  await tsc(at, options, files)
}

/** @param {string} at @param {object} compilerOptions @param {readonly string[]} files */
async function tsc(at, compilerOptions, files) {
  const config = { compilerOptions: { ...compilerOptions, skipLibCheck: false }, files }
  writeFileSync(join(at, 'tsconfig.json'), JSON.stringify(config, null, 2))
  await run(join(at, 'node_modules/.bin/tsc'), ['-p', '.'], { cwd: at })
}
