import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream, mkdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Call, type Dialer, type Exchange, exchange } from '../client/exchange.ts'

export interface MemberPlan {
  readonly id: string
  /** Where peers dial it. */
  readonly address: string
  readonly httpPort: number
  /** Its own directory: `store` and `log.txt` lie in it. */
  readonly directory: string
  /** The founders; without them it waits to be added. */
  readonly founders?: Readonly<Record<string, string>>
  /** Another program than raftkit-kv, with a `serve` that takes the same flags but those of membership, which it knows otherwise. */
  readonly program?: string
  /** Further flags of `serve`. */
  readonly flags?: readonly string[]
  /** It serves HTTPS, and is reached by this. */
  readonly dialer?: Dialer
  /** A command that runs the program given behind it, as the same process; asked for at each start. */
  readonly under?: () => readonly string[]
}

const program = fileURLToPath(new URL('./raftkit-kv.js', import.meta.url))

/**
 * One member as a process of its own. It is in a process group of its own, so that a Ctrl-C of the terminal does not reach it,
 * and ends when the pipe to its standard input does, so that it does not outlive who started it.
 */
export class MemberProcess {
  readonly plan: MemberPlan
  readonly endpoint: string
  #child: ChildProcess | undefined
  #ended: Promise<unknown> = Promise.resolve()

  constructor(plan: MemberPlan) {
    this.plan = plan
    this.endpoint = `${plan.dialer ? 'https' : 'http'}://127.0.0.1:${plan.httpPort}`
  }

  get id(): string {
    return this.plan.id
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  get pid(): number | undefined {
    return this.running ? this.#child?.pid : undefined
  }

  /** Settles once it has ended, however that came, with its exit code and signal. */
  get ended(): Promise<unknown> {
    return this.#ended
  }

  /** Rejects with `ConnectionLost`, also when `milliseconds` have passed. */
  ask(call: Call, milliseconds: number): Promise<Exchange> {
    return exchange(this.endpoint, call, milliseconds, this.plan.dialer)
  }

  get store(): string {
    return join(this.plan.directory, 'store')
  }

  get log(): string {
    return join(this.plan.directory, 'log.txt')
  }

  /** Resolves once it answers over HTTP. `join`: it is empty, and waits to be added although it is among the founders. */
  async start({ join = false }: { join?: boolean } = {}): Promise<void> {
    const { id, address, httpPort, founders, flags = [] } = this.plan
    mkdirSync(this.plan.directory, { recursive: true })
    const members =
      this.plan.program !== undefined
        ? []
        : join || founders === undefined
          ? ['--join', '--address', address]
          : [
              '--members',
              Object.entries(founders)
                .map(([id, address]) => `${id}=${address}`)
                .join(','),
            ]
    const args = [
      'serve',
      '--until-stdin-ends',
      '--id',
      id,
      '--http',
      `127.0.0.1:${httpPort}`,
      '--data',
      this.store,
      ...members,
      ...flags,
    ]
    const [command = '', ...before] = [...(this.plan.under?.() ?? []), process.execPath]
    const child = spawn(command, [...before, this.plan.program ?? program, ...args], {
      detached: true,
      stdio: ['pipe', 'ignore', 'pipe', 'ipc'],
    })
    const log = createWriteStream(this.log, { flags: 'a' })
    child.stderr!.pipe(log)
    this.#child = child
    // With its last words in the log.
    this.#ended = Promise.all([once(child, 'close'), once(log, 'close')]).then(([end]) => end)
    for (;;) {
      if (!this.running) {
        await this.#ended
        const last = readFileSync(this.log, 'utf8').trimEnd().split('\n').at(-1)
        throw new Error(`${id} ended with ${child.exitCode ?? child.signalCode}: see ${this.log}\n${last}`)
      }
      const alive = await this.ask({ method: 'GET', path: '/livez' }, 1_000).catch(() => undefined)
      if (alive?.status === 200) return
      await pause(50)
    }
  }

  /** To its configuration file, which may listen; what comes before it does is kept. Nothing if it does not run. */
  send(message: object): void {
    if (this.running && this.#child!.connected) this.#child!.send(message, () => {})
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    if (this.running) this.#child!.kill(signal)
  }

  /** Ends it without warning, as a crash would. */
  async kill(): Promise<void> {
    if (this.running) this.#child!.kill('SIGKILL')
    await this.#ended
  }

  /** Asks it to leave, and insists after a while. */
  async stop(): Promise<void> {
    if (this.running) this.#child!.kill('SIGTERM')
    const insist = setTimeout(() => this.#child?.kill('SIGKILL'), 15_000)
    await this.#ended
    clearTimeout(insist)
  }
}

/** Below the range from which connections take their own ports: a member that comes back must find its port free. */
const ports = { from: 20_000, count: 10_000 }

/** Ports that nobody listens on now. */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>()
  while (found.size < count) {
    const port = ports.from + randomInt(ports.count)
    if (!found.has(port) && (await isFree(port))) found.add(port)
  }
  return [...found]
}

export async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  await once(server.close(), 'close')
  return true
}
