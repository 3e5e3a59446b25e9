import { Worker } from 'node:worker_threads'
import { crash } from './judging/judge.ts'
import type { Found } from './slice.ts'
import type { Order, Report, WorkerInput } from './worker.ts'

/** Inputs beyond this are seen only in part when they hang. */
const windowBytes = 262_144

export interface CrewOptions {
  /** The program of a worker, and the module that exports its targets. */
  readonly program: URL
  readonly targets: string
  readonly coverage: boolean
  /** An input that takes longer hangs. Milliseconds. */
  readonly patience: number
  readonly heapMegabytes: number
  readonly found: (found: Found) => void
}

type Done = Extract<Report, { type: 'done' }>

/** One worker, watched from outside: when it hangs or dies, the input is told, and another one takes its place. */
export class Crew {
  readonly #options: CrewOptions
  readonly #shared = new SharedArrayBuffer(12 + windowBytes)
  readonly #state = new Int32Array(this.#shared, 0, 3)
  #worker: Worker | undefined

  constructor(options: CrewOptions) {
    this.#options = options
  }

  /** Undefined: the worker came to its end over it, and a finding was told. Rejects if the order itself failed. */
  async obey(order: Order): Promise<Done | undefined> {
    this.#worker ??= this.#hire()
    const worker = this.#worker
    let over = false
    const answer = await new Promise<Done | undefined>((resolve, reject) => {
      let begun = -1
      let since = performance.now()
      const watch = setInterval(() => {
        const now = Atomics.load(this.#state, 0)
        if (now !== begun || Atomics.load(this.#state, 1) === 0) {
          begun = now
          since = performance.now()
        } else if (performance.now() - since > this.#options.patience) {
          this.#tell(order, { kind: 'hang', what: `no end after ${this.#options.patience} ms` })
          settle(() => resolve(undefined))
        }
      }, 50)
      const settle = (end: () => void): void => {
        if (over) return
        over = true
        clearInterval(watch)
        worker.off('message', told).off('error', failed).off('exit', gone)
        end()
      }
      const told = (report: Report): void => {
        if (report.type === 'found') this.#options.found(report.found)
        else if (report.type === 'done') settle(() => resolve(report))
        else
          settle(() => reject(new Error(`${order.type} of ${'target' in order ? order.target : ''}: ${report.error}`)))
      }
      const failed = (error: Error): void => {
        const kind = (error as { code?: string }).code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'memory' : 'crash'
        this.#tell(order, { ...crash(error), kind })
        settle(() => resolve(undefined))
      }
      const gone = (code: number): void => {
        this.#tell(order, { kind: 'crash', what: `the worker ended with ${code}` })
        settle(() => resolve(undefined))
      }
      worker.on('message', told).on('error', failed).on('exit', gone)
      worker.postMessage(order)
    })
    if (answer === undefined) await this.dismiss()
    return answer
  }

  async dismiss(): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    await worker?.terminate()
  }

  #hire(): Worker {
    const { program, targets, coverage, heapMegabytes } = this.#options
    this.#state.fill(0)
    const workerData: WorkerInput = { shared: this.#shared, targets, coverage }
    const worker = new Worker(program, { workerData, resourceLimits: { maxOldGenerationSizeMb: heapMegabytes } })
    // Between two orders nobody else listens.
    return worker.on('error', () => {})
  }

  #tell(order: Order, finding: { kind: Found['kind']; what: string; stack?: string }): void {
    const input = new Uint8Array(this.#shared, 12).slice(0, this.#state[2])
    const target = 'target' in order ? order.target : ''
    const round = 'round' in order ? order.round : order.type
    this.#options.found({ ...finding, target, input, before: [], round, number: this.#state[0]! })
  }
}
