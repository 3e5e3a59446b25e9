import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'tsup'

const here = fileURLToPath(new URL('.', import.meta.url))

export interface Program {
  readonly url: string
  remove(): Promise<void>
}

/** A file of this folder with our sources in it, as plain JavaScript for processes without a test runner. */
export async function bundle(entry: string): Promise<Program> {
  const parent = join(here, '../node_modules/.tests')
  await mkdir(parent, { recursive: true })
  const folder = await mkdtemp(join(parent, 'program-'))
  await build({
    entry: { program: join(here, entry) },
    outDir: folder,
    format: 'esm',
    target: 'node20',
    outExtension: () => ({ js: '.mjs' }),
    config: false,
    silent: true,
    external: ['ws'],
    noExternal: [/^@raftkit\//, /^@noble\//],
    esbuildOptions: (options) => {
      options.alias = Object.fromEntries(
        ['contract', 'links', 'transport-ws'].map((name) => [
          `@raftkit/${name}`,
          join(here, `../../${name}/src/index.ts`),
        ]),
      )
    },
  })
  return {
    url: pathToFileURL(join(folder, 'program.mjs')).href,
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}
