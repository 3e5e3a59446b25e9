import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { bundle as bundleProgram, type Program } from '@raftkit/testing/program'

// A template adapter as one file of plain JavaScript, for real processes; with patches, a broken one.

/** In the file of that name (of the template, or of a package that it uses), the only occurrence of `find` becomes `replace`. */
export interface Patch {
  readonly file: string
  readonly find: string
  readonly replace: string
}

/** A patch that does not apply exactly once makes this reject. */
export async function bundle(entry: string, patches: readonly Patch[] = []): Promise<Program> {
  const applied = new Set<Patch>()
  const program = await bundleProgram(new URL(`../template/${entry}`, import.meta.url), {
    plugins: [
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
  return program
}
