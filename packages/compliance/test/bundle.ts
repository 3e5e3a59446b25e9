import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'tsup'

// A template adapter as one file of plain JavaScript, for real processes; with patches, a broken one.

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** In the file of that name (of the template, or of a package that it uses), the only occurrence of `find` becomes `replace`. */
export interface Patch {
  readonly file: string
  readonly find: string
  readonly replace: string
}

export interface Bundle {
  /** Of the module. */
  readonly url: string
  remove(): Promise<void>
}

/** A patch that does not apply exactly once makes this reject. */
export async function bundle(entry: string, patches: readonly Patch[] = []): Promise<Bundle> {
  const parent = join(root, 'packages/compliance/node_modules/.tests')
  await mkdir(parent, { recursive: true })
  const folder = await mkdtemp(join(parent, 'adapter-'))
  const applied = new Set<Patch>()
  await build({
    entry: { adapter: join(root, 'packages/compliance/template', entry) },
    outDir: folder,
    format: 'esm',
    target: 'node20',
    outExtension: () => ({ js: '.mjs' }),
    config: false,
    silent: true,
    noExternal: [/^@raftkit\//],
    esbuildOptions: (options) => {
      options.alias = Object.fromEntries(
        ['contract', 'files'].map((name) => [`@raftkit/${name}`, join(root, `packages/${name}/src/index.ts`)]),
      )
    },
    esbuildPlugins: [
      {
        name: 'patches',
        setup: ({ onLoad }) => {
          onLoad({ filter: /\.(js|ts)$/ }, async ({ path }) => {
            let contents = await readFile(path, 'utf8')
            for (const patch of patches.filter(({ file }) => file === basename(path))) {
              if (contents.split(patch.find).length !== 2) throw new Error(`not once in ${path}: ${patch.find}`)
              contents = contents.replace(patch.find, () => patch.replace)
              applied.add(patch)
            }
            return { contents, loader: path.endsWith('.ts') ? 'ts' : 'js' }
          })
        },
      },
    ],
  })
  for (const patch of patches) if (!applied.has(patch)) throw new Error(`no file ${patch.file} was loaded`)
  return {
    url: pathToFileURL(join(folder, 'adapter.mjs')).href,
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}
