import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import type { NodeId, Peer } from '@raftkit/contract'

export interface ChildOptions {
  readonly id: NodeId
  readonly address: string
  readonly peers: readonly Peer[]
}

/**
 * A node in a process of its own. Plain JavaScript for `node --eval`, since neither a bundler nor a test runner shall stand around it.
 * It answers each frame with its process id and the frame, tells of its links, and closes when its standard input ends.
 */
const program = `
const [program, text] = process.argv.slice(1)
const { id, address, peers, hello } = JSON.parse(text)
const { create, reached } = await import(program)
const transport = create()
const say = (kind, what) => process.stdout.write(JSON.stringify([kind, what]) + '\\n')
await transport.start({ id, address }, {
  hello: () => new TextEncoder().encode(hello),
  admit: (hello) => new TextDecoder().decode(hello).split('/')[1],
  frame: (from, frame) => transport.send(from, [new TextEncoder().encode(process.pid + ' '), frame], 'control'),
  link: (peer, state) => say('link', peer + ' ' + state),
})
transport.setPeers(peers)
process.stdin.on('end', () => transport.close().then(() => say('closed', '')))
process.stdin.resume()
say('at', reached ? reached(transport, address) : address)
`

export class Child {
  /** Where it is reached; undefined until it has started. */
  address: string | undefined
  readonly links: string[] = []
  closed = false
  readonly hello: string
  readonly #process: ChildProcess
  readonly #ended: Promise<unknown>
  readonly #complaints: string[] = []

  constructor(module: string | URL, options: ChildOptions) {
    const url = /^[a-z]{2,}:/i.test(String(module)) ? String(module) : pathToFileURL(String(module)).href
    this.hello = `c/${options.id}/1/`
    this.#process = spawn(
      process.execPath,
      ['--input-type=module', '--eval', program, '--', url, JSON.stringify({ ...options, hello: this.hello })],
      { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, NODE_OPTIONS: '' } },
    )
    this.#process.stdin?.on('error', () => undefined)
    createInterface({ input: this.#process.stdout! }).on('line', (line) => {
      const [kind, what] = JSON.parse(line) as [string, string]
      if (kind === 'at') this.address = what
      else if (kind === 'link') this.links.push(what)
      else if (kind === 'closed') this.closed = true
    })
    createInterface({ input: this.#process.stderr! }).on('line', (line) => this.#complaints.push(line))
    this.#ended = once(this.#process, 'close')
  }

  get pid(): number {
    return this.#process.pid!
  }

  /** The exit code, once it has ended by itself. */
  get exitCode(): number | null {
    return this.#process.exitCode
  }

  get words(): string {
    return this.#complaints.slice(-8).join('\n')
  }

  /** The bytes that it answers to `frame`. */
  answer(frame: Uint8Array): Uint8Array {
    return Buffer.concat([new TextEncoder().encode(`${this.pid} `), frame])
  }

  close(): void {
    this.#process.stdin?.end()
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#process.kill(name)
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.#ended
  }
}
