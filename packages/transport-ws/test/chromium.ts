import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { WebSocket } from 'ws'

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

/** Where the browser is, if there is one. `CHROMIUM` says so for places off the path. */
export function chromiumPath(): string | undefined {
  const { CHROMIUM, PATH = '' } = process.env
  const places = PATH.split(delimiter).flatMap((folder) => names.map((name) => join(folder, name)))
  return [...(CHROMIUM ? [CHROMIUM] : []), ...places].find((path) => existsSync(path))
}

/** What we use of the DevTools protocol's answers. */
interface Answer {
  readonly id?: number
  readonly method?: string
  readonly params?: { readonly exceptionDetails?: unknown; readonly args?: readonly { readonly value?: unknown }[] }
  readonly error?: { readonly message: string }
  readonly result?: {
    readonly targetId?: string
    readonly sessionId?: string
    readonly result?: { readonly value?: unknown; readonly description?: string }
    readonly exceptionDetails?: { readonly exception?: { readonly description?: string } }
  }
}

/** A headless browser of its own, spoken to by the DevTools protocol. */
export class Chromium {
  /** What pages wrote to their console, and what they threw. */
  readonly said: string[] = []
  readonly #process: ChildProcess
  readonly #folder: string
  readonly #socket: WebSocket
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  #calls = 0
  #loaded: () => void = () => {}

  private constructor(process: ChildProcess, folder: string, socket: WebSocket) {
    this.#process = process
    this.#folder = folder
    this.#socket = socket
    socket.on('message', (data) => this.#hear(JSON.parse(String(data)) as Answer))
  }

  static async start(path: string): Promise<Chromium> {
    const folder = await mkdtemp(join(tmpdir(), 'raftkit-chromium-'))
    const flags = ['--headless=new', '--disable-gpu', '--no-first-run', '--remote-debugging-port=0']
    // Its sandbox wants rights that containers and root do not give; the only pages it sees are ours.
    const child = spawn(path, [...flags, '--no-sandbox', `--user-data-dir=${folder}`, 'about:blank'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const lines = createInterface({ input: child.stderr! })
    const url = await new Promise<string>((resolve, reject) => {
      const said: string[] = []
      lines.on('line', (line) => {
        said.push(line)
        const found = /DevTools listening on (ws:\S+)/.exec(line)?.[1]
        if (found) resolve(found)
      })
      child.on('error', reject)
      child.on('exit', (code) => reject(new Error(`Chromium ended (${code}): ${said.join('\n')}`)))
    })
    const socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: 64 * 1024 * 1024 })
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
    return new Chromium(child, folder, socket)
  }

  /** Opens a page, waits until it is loaded, and gives what evaluates in it: an expression, awaited if it is a promise. */
  async page(url: string): Promise<(expression: string) => Promise<unknown>> {
    const { targetId } = await this.#call('Target.createTarget', { url: 'about:blank' })
    const { sessionId } = await this.#call('Target.attachToTarget', { targetId, flatten: true })
    await this.#call('Runtime.enable', {}, sessionId)
    await this.#call('Page.enable', {}, sessionId)
    const loaded = new Promise<void>((resolve) => {
      this.#loaded = resolve
    })
    await this.#call('Page.navigate', { url }, sessionId)
    await loaded
    return async (expression) => {
      const params = { expression, awaitPromise: true, returnByValue: true }
      const { result, exceptionDetails } = await this.#call('Runtime.evaluate', params, sessionId)
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? 'the page threw')
      return result?.value
    }
  }

  async #call(method: string, params: unknown, sessionId?: string): Promise<NonNullable<Answer['result']>> {
    const id = ++this.#calls
    const answer = await new Promise<Answer>((resolve) => {
      this.#waiting.set(id, resolve)
      this.#socket.send(JSON.stringify({ id, method, params, ...(sessionId ? { sessionId } : {}) }))
    })
    if (answer.error) throw new Error(`${method}: ${answer.error.message}`)
    return answer.result ?? {}
  }

  #hear(answer: Answer): void {
    if (answer.id !== undefined) {
      this.#waiting.get(answer.id)?.(answer)
      this.#waiting.delete(answer.id)
    } else if (answer.method === 'Page.loadEventFired') this.#loaded()
    else if (answer.method === 'Runtime.exceptionThrown') this.said.push(JSON.stringify(answer.params))
    else if (answer.method === 'Runtime.consoleAPICalled')
      this.said.push((answer.params?.args ?? []).map(({ value }) => String(value)).join(' '))
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('exit', resolve))
    this.#socket.send(JSON.stringify({ id: ++this.#calls, method: 'Browser.close' }))
    const late = setTimeout(() => this.#process.kill('SIGKILL'), 5000)
    await ended
    clearTimeout(late)
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 })
  }
}
