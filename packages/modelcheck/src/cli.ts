import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { traces } from './bft/traces.ts'
import { type Limits, protocols, type Result, run } from './campaign.ts'
import type { Progress } from './explore/explore.ts'

const usage = `modelcheck: explores every state that the real protocol can reach, within bounds

  --protocol NAME  raft (default) or bft
  --scope NAME     only this scope (may be repeated)
  --seconds N      at most so long for each scope
  --states N       at most so many distinct states in each scope
  --quick          a minute for all
  --workers N      scopes explored at once (default: one for each core, at most 2)
  --no-symmetry    count states that differ by names alone apart
  --no-por         take every step, also those that commute with all others
  --list           the scopes and their bounds
  --traces         of bft: how rules that others left out lead to a fork
  --json           the last line alone`

interface Work {
  readonly name: string
  readonly limits: Limits
}

type News = { readonly type: 'progress'; readonly so: Progress } | { readonly type: 'result'; readonly result: Result }

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      protocol: { type: 'string', default: 'raft' },
      scope: { type: 'string', multiple: true },
      seconds: { type: 'string' },
      states: { type: 'string' },
      quick: { type: 'boolean' },
      workers: { type: 'string' },
      'no-symmetry': { type: 'boolean' },
      'no-por': { type: 'boolean' },
      list: { type: 'boolean' },
      traces: { type: 'boolean' },
      json: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  })
  if (values.help) return console.log(usage)
  if (values.traces) return console.log(traces())
  const subjects = protocols[values.protocol]
  if (subjects === undefined) throw new Error(`no protocol is named ${values.protocol}: raft and bft are`)
  if (values.list) {
    for (const { name, about, bounds } of subjects)
      console.log(`${name.padEnd(22)} ${about}\n${' '.repeat(23)}${show(bounds)}`)
    return
  }
  const names = values.scope ?? subjects.map(({ name }) => name)
  for (const name of names)
    if (!subjects.some((scope) => scope.name === name)) throw new Error(`no scope is named ${name}; see --list`)
  const limits: Limits = {
    seconds: number('seconds', values.seconds),
    states: number('states', values.states) ?? (values.quick ? 50_000 : undefined),
    symmetry: values['no-symmetry'] !== true,
    reduce: values['no-por'] !== true,
  }
  const say = values.json ? () => {} : (line: string) => console.log(line)
  const live = values.json ? () => {} : (line: string) => console.error(line)
  const workers = number('workers', values.workers) ?? Math.min(2, availableParallelism())
  const begun = process.hrtime.bigint()
  const results: Result[] = []
  const waiting = [...names]
  const work = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const result = await inWorker({ name, limits }, live)
      results.push(result)
      say(line(result))
      if (result.violation === undefined) continue
      say(story(result, limits, values.protocol))
      // One is enough: what breaks a rule in one scope breaks it in others.
      waiting.length = 0
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, workers) }, work))
  results.sort((a, b) => names.indexOf(a.name) - names.indexOf(b.name))
  const violations = results.filter(({ violation }) => violation !== undefined)
  const first = violations[0]
  console.log(
    JSON.stringify({
      protocol: values.protocol,
      scopes: results,
      distinctStates: results.reduce((sum, { distinctStates }) => sum + distinctStates, 0),
      violations: violations.length,
      ...(first === undefined
        ? {}
        : { first: { scope: first.name, invariant: first.violation!.invariant, states: first.distinctStates } }),
      seconds: Number((process.hrtime.bigint() - begun) / 1_000_000n) / 1000,
    }),
  )
  if (violations.length > 0) process.exitCode = 1
}

function number(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!(value > 0)) throw new Error(`--${name} is a number above 0, not ${text}`)
  return value
}

/** A scope has a thread of its own, and its memory goes with it. */
function inWorker(work: Work, live: (line: string) => void): Promise<Result> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), {
      workerData: work,
      resourceLimits: { maxOldGenerationSizeMb: 6000 },
    })
    let told = 0n
    worker.on('message', (news: News) => {
      if (news.type === 'result') return resolve(news.result)
      const now = process.hrtime.bigint()
      if (now - told < 5_000_000_000n) return
      told = now
      const { distinctStates, depth, waiting } = news.so
      live(`${work.name}: ${distinctStates} states, depth ${depth}, ${waiting} to be looked at`)
    })
    worker.on('error', reject)
    worker.on('exit', (code) => reject(new Error(`the exploration of ${work.name} ended with code ${code}`)))
  })
}

function line(result: Result): string {
  const { name, bounds, distinctStates, transitions, depth, deepest, exhausted, seconds, violation } = result
  const end = violation !== undefined ? `VIOLATED: ${violation.invariant}` : exhausted ? 'exhausted' : 'cut off'
  return `${name.padEnd(20)} ${String(distinctStates).padStart(9)} states ${String(transitions).padStart(10)} transitions, depth ${depth}${deepest > depth ? ` … ${deepest}` : ''}, ${end}, ${seconds} s   ${show(bounds)}`
}

function story({ name, violation }: Result, { symmetry, reduce }: Limits, protocol: string): string {
  const { invariant, what, steps } = violation!
  const flags = `${symmetry ? '' : ' --no-symmetry'}${reduce ? '' : ' --no-por'}`
  return [
    `\n${invariant}: ${what}`,
    ...steps.map((step, at) => `${String(at + 1).padStart(4)}  ${step}`),
    `again: npm run modelcheck -- --protocol ${protocol} --scope ${name}${flags}\n`,
  ].join('\n')
}

const show = (bounds: Readonly<Record<string, unknown>>): string =>
  Object.entries(bounds)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')

if (isMainThread) {
  main().catch((error: Error) => {
    console.error(error.message)
    process.exitCode = 2
  })
} else {
  const { name, limits } = workerData as Work
  const result = await run(name, limits, (so) => parentPort!.postMessage({ type: 'progress', so } satisfies News))
  parentPort!.postMessage({ type: 'result', result } satisfies News)
}
