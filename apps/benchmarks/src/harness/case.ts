import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Case, Part, Sample } from './part.ts'

/** What a case has at hand, in its own process. */
export interface CaseContext {
  /** How long to measure, after `warmUp` seconds that count for nothing. */
  readonly seconds: number
  readonly warmUp: number
  readonly quick: boolean
  /** Fresh and empty, of this process alone; removed at the end. */
  readonly directory: string
  /** `timed` writes a CPU profile of what it measures to this file. */
  readonly profile: string | undefined
  /** Starts another case of this part in a process of its own, which ends with this one: the far end of a wire, a member. */
  start(name: string, input: unknown, execArgv?: readonly string[]): Helper
  /** To and from whoever started this case. `next` waits; it rejects when the other side is gone, with its reason. */
  tell(message: unknown): void
  next(): Promise<unknown>
  /** Progress, for people, on the command's stderr. */
  say(line: string): void
}

export interface Helper {
  readonly pid: number
  /** What the case returned, once its process is gone with all it had. Rejects with the helper's last words if it fails. */
  readonly result: Promise<Sample>
  tell(message: unknown): void
  next(): Promise<unknown>
  /** At once, without a result; resolves when it is gone. */
  kill(): Promise<void>
}

export interface Start {
  readonly part: string
  readonly name: string
  readonly input: unknown
  readonly seconds: number
  readonly warmUp: number
  readonly quick: boolean
  /** Where the child's directory is made. */
  readonly parent: string
  readonly execArgv?: readonly string[]
  readonly profile?: string
}

type Message =
  | { readonly type: 'start'; readonly start: Start }
  | { readonly type: 'told'; readonly told: unknown }
  | { readonly type: 'said'; readonly line: string }
  | { readonly type: 'result'; readonly sample: Sample }
  | { readonly type: 'failed'; readonly reason: string }

const alive = new Set<ChildProcess>()
process.on('exit', endCases)

/** Whatever still runs, at once: what a part left behind when it failed. */
export function endCases(): void {
  for (const child of alive) child.kill('SIGKILL')
}

/** Runs one case in a fresh process. `say` hears of its progress. */
export function startCase(start: Start, say: (line: string) => void = () => {}): Helper {
  const child = fork(process.argv[1]!, ['--case'], {
    execArgv: [...(start.execArgv ?? [])],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    serialization: 'advanced',
  })
  alive.add(child)
  const inbox = new Inbox()
  let words = ''
  let sample: Sample | undefined
  for (const stream of [child.stdout!, child.stderr!])
    stream.setEncoding('utf8').on('data', (text: string) => {
      words = (words + text).slice(-2000)
    })
  const result = new Promise<Sample>((resolve, reject) => {
    // Ten times what was asked for, and a minute: a case that hangs is a failure, not a wait.
    const limit = (start.seconds + start.warmUp) * 10 + 60
    const timer = setTimeout(() => {
      if (sample) resolve(sample)
      fail(`did not end within ${limit} s`)
      child.kill('SIGKILL')
    }, limit * 1000)
    const fail = (reason: string) => {
      const error = new Error(`${start.part}/${start.name} ${reason}${words && `\n${words.trim()}`}`)
      reject(error)
      return error
    }
    child.on('message', (message: Message) => {
      if (message.type === 'told') inbox.put(message.told)
      if (message.type === 'said') say(message.line)
      if (message.type === 'result') sample = message.sample
      if (message.type === 'failed') inbox.end(fail(`failed: ${message.reason}`))
    })
    child.on('error', (error) => fail(`did not start: ${error.message}`))
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      alive.delete(child)
      if (sample) resolve(sample)
      inbox.end(fail(sample ? 'is over' : `ended with ${signal ?? `code ${code}`} before its result`))
    })
  })
  result.catch(() => {})
  child.send({ type: 'start', start } satisfies Message)
  return {
    pid: child.pid!,
    result,
    tell: (told) => void child.send({ type: 'told', told } satisfies Message),
    next: () => inbox.take(),
    async kill() {
      child.kill('SIGKILL')
      if (alive.has(child)) await once(child, 'close')
    },
  }
}

/** The child's side: waits for its start, runs the case, answers, ends. */
export async function runCase(find: (name: string) => Promise<Part>): Promise<void> {
  const inbox = new Inbox()
  const send = (message: Message) =>
    new Promise<void>((resolve) => process.send!(message, undefined, {}, () => resolve()))
  process.on('disconnect', () => process.exit(1))
  const start = await new Promise<Start>((resolve) => {
    process.on('message', (message: Message) => {
      if (message.type === 'start') resolve(message.start)
      if (message.type === 'told') inbox.put(message.told)
    })
  })
  const directory = mkdtempSync(join(start.parent, `${start.name}-`))
  const helpers: Helper[] = []
  process.on('exit', () => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }))
  try {
    const run: Case | undefined = (await find(start.part)).cases[start.name]
    if (!run) throw new Error(`${start.part} has no case ${start.name}`)
    const { part, seconds, warmUp, quick } = start
    const say = (line: string) => void send({ type: 'said', line })
    const sample = await run(start.input as never, {
      seconds,
      warmUp,
      quick,
      directory,
      profile: start.profile,
      start(name, input, execArgv = []) {
        const helper = startCase({ part, name, input, seconds, warmUp, quick, parent: directory, execArgv }, say)
        helpers.push(helper)
        return helper
      },
      tell: (told) => void send({ type: 'told', told }),
      next: () => inbox.take(),
      say,
    })
    await send({ type: 'result', sample })
  } catch (error) {
    await send({ type: 'failed', reason: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  }
  // Waited for, so that their processor time counts as ours.
  await Promise.all(helpers.map((helper) => helper.kill()))
  process.exit()
}

/** Messages that wait for whoever wants them, in order. */
class Inbox {
  readonly #messages: unknown[] = []
  readonly #waiting: { resolve: (message: unknown) => void; reject: (error: Error) => void }[] = []
  #ended: Error | undefined

  put(message: unknown): void {
    const next = this.#waiting.shift()
    if (next) next.resolve(message)
    else this.#messages.push(message)
  }

  take(): Promise<unknown> {
    if (this.#messages.length > 0) return Promise.resolve(this.#messages.shift())
    if (this.#ended) return Promise.reject(this.#ended)
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  /** Whoever waits is told why there will be nothing; what has come can still be taken. */
  end(why: Error): void {
    this.#ended ??= why
    for (const { reject } of this.#waiting.splice(0)) reject(this.#ended)
  }
}
