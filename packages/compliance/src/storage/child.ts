import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { serialize } from 'node:v8'
import type { GroupId, LogWrite } from '@raftkit/contract'

// A real process that owns the storage and does as its script says, so that it can be killed, traced and locked out.

/** What the process does, in this order; `writes` of all groups run side by side. */
export interface Script {
  readonly writes?: readonly { readonly group: GroupId; readonly changes: readonly LogWrite[] }[]
  /** How many writes of a group are under way at once. */
  readonly ahead?: number
  readonly snapshot?: { readonly name: string; readonly chunks: readonly Uint8Array[] }
  readonly destroy?: GroupId
  /** At the end: stay, holding everything, until killed or until standard input ends. Otherwise: close the storage, say `end`, exit. */
  readonly hold?: boolean
}

/**
 * Says with one write(2) per line: `open`, then `done <i> <n>` once write n of the i-th group has resolved, `failed <i> <n> <code>` once it was rejected, `chunk <n>`, `committed`, `destroyed`, `held`, `end`.
 * Plain JavaScript for `node --eval`, since neither a bundler nor a test runner stands between it and the kernel.
 */
const program = `
import { readFileSync, writeSync } from 'node:fs'
import { deserialize } from 'node:v8'
const [address, directory, path] = process.argv.slice(1)
const { writes = [], ahead = 1, snapshot, destroy, hold } = deserialize(readFileSync(path))
const say = (line) => writeSync(1, line + '\\n')
process.stdin.on('end', () => process.exit(0)).resume()
const { open } = await import(address)
const storage = await open(directory)
say('open')
await Promise.all(writes.map(async ({ group, changes }, i) => {
  const log = await storage.log(group)
  const underWay = []
  for (const [n, change] of changes.entries()) {
    if (underWay.length >= ahead) await underWay.shift()
    const told = (word, error) => say(word + ' ' + i + ' ' + n + (error ? ' ' + error.code : ''))
    underWay.push(log.write(change).then(() => told('done'), (error) => told('failed', error)))
  }
  await Promise.all(underWay)
  await log.close()
}))
if (snapshot) {
  const writer = await (await storage.snapshots('main')).create(snapshot.name)
  for (const [n, chunk] of snapshot.chunks.entries()) {
    await writer.write(chunk)
    say('chunk ' + n)
  }
  await writer.commit()
  say('committed')
}
if (destroy !== undefined) {
  await storage.destroy(destroy)
  say('destroyed')
}
if (hold) {
  await storage.log('main')
  say('held')
} else {
  await storage.close().catch((error) => say('closed with ' + error.code))
  say('end')
  process.exit(0)
}
`

export class Child {
  /** What it has said so far, line by line. */
  readonly lines: string[] = []
  readonly process: ChildProcess
  readonly #ended: Promise<unknown>
  readonly #waiting = new Set<() => void>()
  readonly #complaints: string[] = []
  #over = false

  private constructor(command: readonly string[], folder: string) {
    this.process = spawn(command[0]!, command.slice(1), {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, NODE_OPTIONS: '', UV_USE_IO_URING: '0' },
    })
    this.process.stdin?.on('error', () => undefined)
    const said = createInterface({ input: this.process.stdout! })
    const complained = createInterface({ input: this.process.stderr! })
    said.on('line', (line) => {
      this.lines.push(line)
      this.#wake()
    })
    complained.on('line', (line) => this.#complaints.push(line))
    const all = [once(this.process, 'close'), once(said, 'close'), once(complained, 'close')]
    this.#ended = Promise.all(all).then(async () => {
      this.#over = true
      this.#wake()
      await rm(folder, { recursive: true, force: true })
    })
  }

  /** `before`: a command that runs the process, such as strace with its options. */
  static async start(
    address: string | URL,
    directory: string,
    script: Script,
    before: readonly string[] = [],
  ): Promise<Child> {
    const folder = await mkdtemp(join(tmpdir(), 'raftkit-script-'))
    const path = join(folder, 'script')
    await writeFile(path, serialize(script))
    const url = /^[a-z]{2,}:/i.test(String(address)) ? String(address) : pathToFileURL(String(address)).href
    const node = [process.execPath, '--input-type=module', '--eval', program, '--', url, directory, path]
    return new Child([...before, ...node], folder)
  }

  /** Resolves with the first line that satisfies `is`; rejects when the process ends before. */
  said(is: (line: string) => boolean): Promise<string> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const line = this.lines.find(is)
        if (line !== undefined) resolve(line)
        else if (this.#over) reject(new Error(`the process ended early: ${this.#lastWords()}`))
        else return
        this.#waiting.delete(look)
      }
      this.#waiting.add(look)
      look()
    })
  }

  /** Resolves when it has done all of its script; rejects when it ended otherwise. */
  async end(): Promise<void> {
    await this.#ended
    if (this.lines.at(-1) !== 'end') throw new Error(`the process ended early: ${this.#lastWords()}`)
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL')
    await this.#ended
  }

  #lastWords(): string {
    return [...this.lines.slice(-3), ...this.#complaints.slice(-12)].join('\n')
  }

  #wake(): void {
    for (const look of this.#waiting) look()
  }
}
