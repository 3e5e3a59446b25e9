// @ts-check
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { bin, run } from '../run.mjs'
import { root } from '../workspace.mjs'

/** @typedef {{ name: string, file: string }} Tarball */

/**
 * Packs one package as `pnpm publish` would: it alone rewrites `workspace:` ranges.
 * @param {import('../workspace.mjs').Package} p @param {string} destination
 * @returns {Promise<Tarball>}
 */
export async function pack({ parent, folder, manifest }, destination) {
  const cwd = join(root, parent, folder)
  const { filename } = JSON.parse(
    await run(bin('pnpm'), ['pack', '--json', '--pack-destination', destination], { cwd }),
  )
  return { name: manifest.name, file: filename }
}

/**
 * What no linter of packages knows: nothing beside the build, nothing stale in it, nothing of the machine that made it.
 * @param {import('../workspace.mjs').Package} p @param {Tarball} tarball
 */
export async function inspect({ parent, folder, manifest: { files = [] } }, { name, file }) {
  const paths = (await run('tar', ['-tzf', file]))
    .trim()
    .split('\n')
    .map((path) => path.replace('package/', ''))
  const manifest = await run('tar', ['-xzOf', file, 'package/package.json'])
  const everything = await run('tar', ['-xzOf', file])
  const sourceOf = (/** @type {string} */ path) => path.replace('dist/', 'src/').replace(/\.d\.ts$/, '.ts')

  const wrong = [
    ...['package.json', 'README.md', 'LICENSE'].filter((path) => !paths.includes(path)).map((path) => `no ${path}`),
    ...paths.filter((path) => !isPublic(path, files)).map((path) => `${path} is not for publishing`),
    ...paths
      .filter((path) => path.endsWith('.d.ts') && !existsSync(join(root, parent, folder, sourceOf(path))))
      .map((path) => `${path} is left from an earlier build: remove ${parent}/${folder}/dist and build again`),
    ...['workspace:', 'catalog:'].filter((text) => manifest.includes(text)).map((text) => `the manifest says ${text}`),
    ...[root, join(homedir(), '/')].filter((text) => everything.includes(text)).map((text) => `it names ${text}`),
  ]
  if (wrong.length > 0) throw new Error(`${name}: ${wrong.join('; ')}`)
}

/** Of dist, what runs and what it is typed as; else what the package lists. @param {string} path @param {readonly string[]} files */
function isPublic(path, files) {
  if (path.startsWith('dist/')) return /\.(js|js\.map|d\.ts)$/.test(path)
  if (['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md'].includes(path)) return true
  return files.some((listed) => path === listed || path.startsWith(`${listed}/`)) && !/^(src|test)\//.test(path)
}

/** @param {Tarball} tarball */
export async function publint({ file }) {
  await run(bin('publint'), ['run', '--strict', file])
}

/** @param {import('../workspace.mjs').Package} p @param {Tarball} tarball */
export async function attw({ manifest }, { file }) {
  // An entry that is no code (a .proto, say) has no types to be wrong.
  const other = Object.entries(manifest.exports ?? {}).flatMap(([entry, target]) =>
    typeof target === 'string' && !/\.js(on)?$/.test(target) ? [entry] : [],
  )
  const exclude = other.length > 0 ? ['--exclude-entrypoints', ...other] : []
  await run(bin('attw'), [file, '--profile', 'esm-only', ...exclude])
}
