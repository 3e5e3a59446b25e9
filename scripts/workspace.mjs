// @ts-check
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * @typedef {{ name: string, version: string, private?: boolean, files?: string[], exports?: Record<string, unknown>, dependencies?: Record<string, string>,
 *   peerDependencies?: Record<string, string>, devDependencies?: Record<string, string> }} Manifest
 * @typedef {{ path: string, text: string }} File path: from the package's folder
 * @typedef {{ parent: 'packages' | 'apps', folder: string, manifest: Manifest, references: string[], src: File[], test: File[] }} Package
 */

export const root = fileURLToPath(new URL('..', import.meta.url))

/** @returns {Package[]} every package and app of the workspace, with its sources and tests */
export function readWorkspace() {
  return /** @type {const} */ (['packages', 'apps']).flatMap((parent) =>
    readdirSync(join(root, parent))
      .filter((folder) => existsSync(join(root, parent, folder, 'package.json')))
      .map((folder) => {
        const at = join(root, parent, folder)
        const tsconfig = JSON.parse(readFileSync(join(at, 'tsconfig.json'), 'utf8'))
        return {
          parent,
          folder,
          manifest: JSON.parse(readFileSync(join(at, 'package.json'), 'utf8')),
          references: (tsconfig.references ?? []).map((/** @type {{ path: string }} */ { path }) => path),
          src: sources(at, 'src'),
          test: sources(at, 'test'),
        }
      }),
  )
}

/** @param {string} at @param {string} folder @returns {File[]} */
function sources(at, folder) {
  if (!existsSync(join(at, folder))) return []
  return readdirSync(join(at, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.[cm]?tsx?$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path: relative(at, path), text: readFileSync(path, 'utf8') }))
}
