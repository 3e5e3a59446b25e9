import { Worker } from 'node:worker_threads'
import { crash } from './judging/judge.ts'
import type { Found } from './slice.ts'
import { headBytes, type Order, phases, type Report, type WorkerInput } from './watched.ts'

/** Inputs beyond this are seen only in part when they hang. */
const windowBytes = 262_144

export interface CrewOptions {
  /** The program of a worker, and the module that exports its targets. */
  readonly program: URL
  readonly targets: string
  readonly coverage: boolean
  /** An input that takes longer hangs; all else a worker does may take `otherwise` times as long. Milliseconds. */
  readonly patience: number
  readonly heapMegabytes: number
  readonly found: (found: Found) => void
}

/** How much more than an input anything else may take: founding a cluster, learning the seeds. */
const otherwise = 3
/** Milliseconds a thread may take to begin. */
const beginning = 60_000
/** A slice that goes on for so many times the patience behind its end hangs as well, though its parts move on. */
const overtime = 6

type Done = Extract<Report, { type: 'done' }>

/** One worker, watched from outside: when it hangs or dies, the input is told, and another one takes its place. */
export class Crew {
  /** Threads that could not be ended: the process ends by force. */
  static stuck = 0
  readonly #options: CrewOptions
  readonly #shared = new SharedArrayBuffer(headBytes + windowBytes)
  readonly #state = new Int32Array(this.#shared, 0, headBytes / 4)
  #worker: Worker | undefined

  constructor(options: CrewOptions) {
    this.#options = options
  }

  /**
   * Undefined: the worker came to its end over it, and a finding was told. Settles in bounded time, whatever the worker does. Rejects if an order
   * failed that gives no inputs.
   */
  async obey(order: Order): Promise<Done | undefined> {
    this.#worker ??= this.#hire()
    const worker = this.#worker
    let over = false
    const answer = await new Promise<Done | undefined>((resolve, reject) => {
      const { patience } = this.#options
      const given = performance.now()
      const limit = 'milliseconds' in order ? order.milliseconds + overtime * patience : Number.POSITIVE_INFINITY
      let seen = -1
      let since = given
      const watch = setInterval(() => {
        const now = performance.now()
        const step = Atomics.load(this.#state, 0)
        const phase = phases[Atomics.load(this.#state, 1)]!
        if (step !== seen) {
          seen = step
          since = now
        }
        // A thread that has only just begun loads all of its modules first.
        const may = step === 0 ? beginning : phase === 'taking' ? patience : otherwise * patience
        const what =
          now - since > may
            ? `no end after ${may} ms${phase === 'taking' ? '' : ` of ${phase}`}`
            : now - given > limit
              ? `a slice has not ended ${overtime * patience} ms behind its time, in ${phase}`
              : undefined
        if (what === undefined) return
        this.#tell(order, { kind: 'hang', what })
        settle(() => resolve(undefined))
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
        else if (order.type === 'slice' || order.type === 'replay') {
          this.#tell(order, {
            kind: 'crash',
            what: `in ${phases[this.#state[1]!]}: ${report.error.split('\n')[0]}`,
            stack: report.error,
          })
          settle(() => resolve(undefined))
        } else
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
    if (!worker) return
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), this.#options.patience)
    })
    // A thread deep in what is no JavaScript does not hear of it.
    if ((await Promise.race([worker.terminate(), late])) === 'late') Crew.stuck++
    clearTimeout(timer)
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
    const input = new Uint8Array(this.#shared, headBytes).slice(0, this.#state[2])
    const target = 'target' in order ? order.target : ''
    const round = 'round' in order ? order.round : order.type
    this.#options.found({ ...finding, target, input, before: [], round, number: this.#state[3]! })
  }
}
