import { type ClientRequest, get, type IncomingMessage } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import type { Random } from '../random.ts'

export interface Change {
  readonly revision: number
  readonly type: 'put' | 'append' | 'delete'
  readonly key: string
  readonly value?: string
}

/** A stream in which so long nothing came is left for another member. Milliseconds. */
const silence = 2_500

/** What one reader of `/v1/watch` saw, over many connections to many members. */
export class Watcher {
  readonly name: string
  readonly changes: Change[] = []
  /** Revisions up to which the server said, by 410 or `compacted`, that changes are gone; by the revision the reader had. */
  readonly compactions: { after: number; upTo: number }[] = []
  connections = 0
  readonly #endpoints: () => readonly string[]
  readonly #random: Random
  readonly #stop = new AbortController()
  readonly #running: Promise<void>
  #request: ClientRequest | undefined
  #last = 0

  constructor(name: string, endpoints: () => readonly string[], random: Random) {
    this.name = name
    this.#endpoints = endpoints
    this.#random = random
    this.#running = this.#run()
  }

  /** The last revision that it saw. */
  get last(): number {
    return this.#last
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    this.#request?.destroy()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const endpoints = this.#endpoints()
      // It leaves by itself, too: every connection is a chance to resume wrongly.
      const leave = setTimeout(() => this.#request?.destroy(), this.#random.between(3_000, 12_000))
      if (endpoints.length > 0) await this.#connection(this.#random.pick(endpoints)).catch(() => {})
      clearTimeout(leave)
      await pause(this.#random.between(10, 200), undefined, { signal: this.#stop.signal }).catch(() => {})
    }
  }

  async #connection(endpoint: string): Promise<void> {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const url = new URL(`/v1/watch?from=${this.#last + 1}`, endpoint)
      this.#request = get(url, { agent: false, timeout: silence }, resolve)
      this.#request.on('error', reject)
      this.#request.on('timeout', () => this.#request!.destroy(new Error('nothing came')))
      this.#request.on('close', () => reject(new Error('closed')))
    })
    response.setEncoding('utf8')
    if (response.statusCode !== 200) {
      let text = ''
      for await (const chunk of response) text += chunk
      if (response.statusCode === 410) this.#compacted((JSON.parse(text) as { compacted: number }).compacted)
      return
    }
    this.connections++
    const parser = createParser({ onEvent: (event) => this.#event(event) })
    for await (const chunk of response) parser.feed(chunk as string)
  }

  #event({ event, data }: EventSourceMessage): void {
    if (event === 'compacted') {
      this.#compacted((JSON.parse(data) as { compacted: number }).compacted)
      return
    }
    const change = JSON.parse(data) as Change
    this.changes.push(change)
    this.#last = Math.max(this.#last, change.revision)
  }

  #compacted(upTo: number): void {
    this.compactions.push({ after: this.#last, upTo })
    this.#last = Math.max(this.#last, upTo)
  }
}
