import { Session } from 'node:inspector'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parentPort, workerData } from 'node:worker_threads'
import { readCorpus, writeCorpus } from './corpus.ts'
import { watchAllocations } from './judging/allocations.ts'
import { crash, type Finding } from './judging/judge.ts'
import { type Found, Range } from './slice.ts'
import type { Target } from './targets/target.ts'
import { headBytes, type Order, phases, type Report, type Window, type WorkerInput } from './watched.ts'

const { shared, targets: targetsModule, coverage } = workerData as WorkerInput
const state = new Int32Array(shared, 0, headBytes / 4)
const bytes = new Uint8Array(shared, headBytes)
const port = parentPort!

// Most inputs end in an error, and half of its price is the stack.
Error.stackTraceLimit = 5

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const session = new Session()
session.connect()
const profiler = (method: string, parameters: object = {}): Promise<{ result?: unknown }> =>
  new Promise((resolve, reject) =>
    session.post(method, parameters, (error: Error | null, answer?: object) =>
      error ? reject(error) : resolve(answer ?? {}),
    ),
  )
if (coverage) {
  await profiler('Profiler.enable')
  await profiler('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
}

// After the modules of Node are there, before those that are to be watched.
const { targets } = (await import(targetsModule)) as { targets: Readonly<Record<string, () => Promise<Target>>> }
const allocations = watchAllocations()
const ranges = new Map<string, Range>()

const window: Window = {
  enter(phase, input) {
    if (input) {
      state[2] = Math.min(input.length, bytes.length)
      bytes.set(input.length > bytes.length ? input.subarray(0, bytes.length) : input)
      state[3]!++
    }
    Atomics.store(state, 1, phases.indexOf(phase))
    Atomics.add(state, 0, 1)
  },
}

let current: { target: string; round: string } = { target: '', round: '' }
const report = (found: Found): void => port.postMessage({ type: 'found', found } satisfies Report)

/** What is thrown past everybody was thrown for the input that is under way, or one just before it. */
function uncaught(error: unknown): void {
  const input = bytes.slice(0, state[2]!)
  const finding: Finding = { ...crash(error), what: `uncaught ${crash(error).what}` }
  report({ ...finding, ...current, input, before: ranges.get(current.target)?.before ?? [], number: 0 })
}
process.on('uncaughtException', uncaught)
process.on('unhandledRejection', uncaught)

async function rangeOf(name: string): Promise<{ target: Target; range: Range; fresh: boolean }> {
  window.enter('loading')
  const target = await targets[name]!()
  const known = ranges.get(name)
  if (known) return { target, range: known, fresh: false }
  const range = new Range(target, allocations, window)
  await range.prepare()
  ranges.set(name, range)
  return { target, range, fresh: true }
}

async function slice(order: Extract<Order, { type: 'slice' }>): Promise<Report> {
  const { target, range, fresh } = await rangeOf(order.target)
  current = order
  const end = performance.now() + order.milliseconds
  let kept = 0
  if (fresh)
    for (const input of range.seeds) {
      const verdict = await range.give(input)
      kept++
      if (typeof verdict === 'object')
        report({ ...verdict, target: order.target, input, before: [], round: 'the seeds', number: kept })
    }
  await range.close()
  const tally = await range.run(order.round, end, order.most ?? Number.POSITIVE_INFINITY, report)
  window.enter('collecting')
  collect()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return {
    type: 'done',
    tally: { ...tally, inputs: tally.inputs + kept },
    heap: heapUsed + arrayBuffers,
    parsers: target.parsers,
  }
}

async function replay({ target: name, inputs }: Extract<Order, { type: 'replay' }>): Promise<Report> {
  const { range } = await rangeOf(name)
  current = { target: name, round: 'replay' }
  for (const [number, input] of inputs.entries()) {
    const verdict = await range.give(input)
    if (typeof verdict === 'object') report({ ...verdict, target: name, input, before: [], round: 'replay', number })
  }
  await range.close()
  return { type: 'done' }
}

async function makeSeeds({ target: name }: Extract<Order, { type: 'seeds' }>): Promise<Report> {
  window.enter('loading')
  const target = await targets[name]!()
  const made = (await target.seeds()).map((bytes) => ({ origin: 'encoder' as const, bytes }))
  const kept = readCorpus(name).filter(({ origin }) => origin !== 'encoder')
  writeCorpus(name, [...made, ...kept])
  return { type: 'done', seeds: made.length }
}

interface V8Coverage {
  readonly url: string
  readonly functions: readonly {
    readonly ranges: readonly { readonly startOffset: number; readonly endOffset: number; readonly count: number }[]
  }[]
}

const ours = /\/(packages|apps)\/[^/]+\/dist\//

async function taken(): Promise<V8Coverage[]> {
  window.enter('counting')
  const { result } = await profiler('Profiler.takePreciseCoverage')
  return (result as V8Coverage[]).filter(({ url }) => ours.test(url) && !url.includes('/apps/fuzz/'))
}

/** Keeps inputs that reach blocks which none before them did. */
async function grow(order: Extract<Order, { type: 'grow' }>): Promise<Report> {
  const { range } = await rangeOf(order.target)
  current = order
  const { Random } = await import('./mutation/random.ts')
  const random = new Random(order.round)
  const reached = new Set<string>()
  const news = async (): Promise<boolean> => {
    let isNew = false
    for (const { url, functions } of await taken())
      for (const { ranges } of functions)
        for (const { startOffset, endOffset, count } of ranges)
          if (count > 0) {
            const place = `${url}:${startOffset}-${endOffset}`
            if (!reached.has(place)) isNew = !!reached.add(place)
          }
    return isNew
  }
  for (const input of range.seeds) await range.give(input)
  await news()
  const kept = readCorpus(order.target)
  const before = kept.length
  const end = performance.now() + order.milliseconds
  while (performance.now() < end && kept.length < before + 40) {
    const batch = Array.from({ length: 200 }, () => range.make(random).input)
    for (const input of batch) await range.give(input)
    if (!(await news())) continue
    // Which of them it was: again, each by itself, as far as what they reach depends on nothing else.
    const places = new Set(reached)
    reached.clear()
    for (const input of range.seeds) await range.give(input)
    for (const { bytes } of kept.slice(before)) await range.give(bytes)
    await news()
    for (const bytes of batch) {
      await range.give(bytes)
      if (await news()) kept.push({ origin: 'coverage', bytes })
    }
    for (const place of places) reached.add(place)
  }
  await range.close()
  writeCorpus(order.target, kept)
  return { type: 'done', seeds: kept.length - before }
}

async function obey(order: Order): Promise<Report> {
  switch (order.type) {
    case 'slice':
      return slice(order)
    case 'replay':
      return replay(order)
    case 'seeds':
      return makeSeeds(order)
    case 'grow':
      return grow(order)
    case 'coverage':
      return { type: 'done', coverage: await taken() }
  }
}

port.on('message', (order: Order) => {
  obey(order).then(
    (answer) => port.postMessage(answer),
    (error: unknown) =>
      port.postMessage({
        type: 'failed',
        error: error instanceof Error ? (error.stack ?? '') : String(error),
      } satisfies Report),
  )
})
