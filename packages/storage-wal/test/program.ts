import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { build } from 'tsup'

// A real process runs plain JavaScript: the sources of this folder and of the packages, bundled.

const here = fileURLToPath(new URL('.', import.meta.url))

export interface Program {
  readonly path: string
  remove(): Promise<void>
}

/** Bundles a file of this folder. The result lies below this package. */
export async function bundle(entry = 'writer.ts'): Promise<Program> {
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
    noExternal: [/^@raftkit\//],
    external: ['vitest'],
    esbuildOptions: (options) => {
      options.alias = Object.fromEntries(
        ['contract', 'files', 'storage-wal'].map((name) => [
          `@raftkit/${name}`,
          join(here, `../../${name}/src/index.ts`),
        ]),
      )
    },
  })
  return { path: join(folder, 'program.mjs'), remove: () => rm(folder, { recursive: true, force: true }) }
}

export interface Child {
  readonly process: ChildProcess
  /** What it has said so far, line by line; it says so with one write(2) per line. */
  readonly lines: string[]
  /** Resolves once a line satisfies `is`, rejects when the process ends before. */
  said(is: (line: string) => boolean): Promise<string>
  readonly ended: Promise<void>
}

export function start(command: readonly string[]): Child {
  const child = spawn(command[0]!, command.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines: string[] = []
  const waiting = new Set<() => void>()
  const reader = createInterface({ input: child.stdout! })
  reader.on('line', (line) => {
    lines.push(line)
    for (const wake of waiting) wake()
  })
  let over = false
  const ended = Promise.all([once(child, 'exit'), once(reader, 'close')]).then(() => {
    over = true
    for (const wake of waiting) wake()
  })
  const said = (is: (line: string) => boolean): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const line = lines.find(is)
        if (line !== undefined) resolve(line)
        else if (over) reject(new Error(`the process ended after: ${lines.slice(-5).join(' | ')}`))
        else return
        waiting.delete(look)
      }
      waiting.add(look)
      look()
    })
  return { process: child, lines, said, ended }
}

/** Why strace cannot be used here; undefined when it can. */
export function straceMissing(): string | undefined {
  try {
    execFileSync('strace', ['-o', '/dev/null', 'true'], { stdio: 'ignore' })
    return undefined
  } catch {
    return 'strace is not on the PATH, or may not trace'
  }
}
