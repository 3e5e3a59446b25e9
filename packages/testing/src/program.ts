import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'

// A real process runs plain JavaScript: a file, and the sources of the workspace that it needs, in one.

const packages = fileURLToPath(new URL('../..', import.meta.url))

export interface Program {
  readonly path: string
  remove(): Promise<void>
}

export interface ProgramOptions {
  /** What stays outside, and is found from the package of `entry`. */
  readonly external?: readonly string[]
  readonly plugins?: readonly Plugin[]
}

/** Bundles `entry`. The result lies below the package it belongs to. */
export async function bundle(entry: URL, { external = [], plugins = [] }: ProgramOptions = {}): Promise<Program> {
  const path = fileURLToPath(entry)
  const [owner] = /^.*[/\\](packages|apps)[/\\][^/\\]+/.exec(path)!
  const parent = join(owner, 'node_modules/.tests')
  await mkdir(parent, { recursive: true })
  const folder = await mkdtemp(join(parent, 'program-'))
  const outfile = join(folder, 'program.mjs')
  await build({
    entryPoints: [path],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'silent',
    external: [...external],
    plugins: [...plugins, sources],
  })
  return { path: outfile, remove: () => rm(folder, { recursive: true, force: true }) }
}

/** Packages of the workspace are their sources, built or not. */
const sources: Plugin = {
  name: 'sources',
  setup: ({ onResolve }) => {
    onResolve({ filter: /^@raftkit\/[^/]+$/ }, ({ path }) => ({
      path: join(packages, path.slice('@raftkit/'.length), 'src/index.ts'),
    }))
  },
}
