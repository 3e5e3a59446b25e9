#!/usr/bin/env node
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { isMainThread } from 'node:worker_threads'
import { campaignBft } from './bft/campaign.ts'
import { campaign, carryOut, failed, type Outcome, serveCampaign } from './run/campaign.ts'
import { type Plan, readPlan } from './run/plan.ts'
import { shrink } from './run/shrink.ts'
import { Total } from './run/total.ts'
import { leaveOut, planFor, type Wishes } from './run/wishes.ts'

const usage = `Simulates clusters of real nodes in virtual time, with faults, and checks every invariant after every event.

  simulate [--seeds N] [--from N] [--events E] [--workers N]   many seeds, from N on
  simulate --seed N [--events E]                               one seed: the same run, each time
  simulate --blackouts N                                       as many seeds as N power cuts of all members take
  simulate --plan FILE                                         a run that was written down
  simulate --protocol bft [--seeds N | --seed N] [--liars L]   certified Raft, of whose members some lie

  --protocol P   "raft", or "bft": certified Raft, with the faults of its catalogue. It reads --seeds, --seed, --from, --workers and
                 --lasts MS     milliseconds of virtual time with faults, per seed. Default 4000
                 --liars L      "within": up to f of 3f + 1 members. "over": f + 1, so that forks must be noticed and their makers
                                named. "mixed", the default: every fifth seed is over
  --events E     how long the phase with faults is, per seed. Default 20000
  --seeds N      default 100
  --without A,B  leaves out these kinds of faults and changes, or families of them:
                 network, weather, process, disk, clock, operator
  --storage S    what all disks carry: "virtual", or "wal", the real log on virtual files. Default: as the seed says
  --blackouts N  with --seed: so many in the one run
  --save FILE    writes the plan of the seed
  --trace FILE   writes the trace of the one run (docs/reference/trace-format.md)
  --first        ends with the first seed that fails
  --no-shrink    a seed that fails is not made smaller
  --json         no progress: the last line only
  --verbose      with --seed: what was done, and what became of it`

const options = {
  protocol: { type: 'string', default: 'raft' },
  lasts: { type: 'string' },
  liars: { type: 'string', default: 'mixed' },
  seeds: { type: 'string' },
  seed: { type: 'string' },
  from: { type: 'string' },
  events: { type: 'string' },
  without: { type: 'string' },
  storage: { type: 'string' },
  blackouts: { type: 'string' },
  plan: { type: 'string' },
  save: { type: 'string' },
  trace: { type: 'string' },
  workers: { type: 'string' },
  first: { type: 'boolean', default: false },
  shrink: { type: 'boolean', default: true },
  json: { type: 'boolean', default: false },
  verbose: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

/** Where plans and traces of runs that failed are written. */
const folder = '.tmp/simulate'

async function main(): Promise<void> {
  const { values } = parseArgs({ options, allowNegative: true })
  if (values.help) return console.log(usage)
  const whole = (
    name: 'seeds' | 'seed' | 'from' | 'events' | 'workers' | 'blackouts' | 'lasts',
    otherwise: number,
    least: number,
  ): number => {
    const value = values[name] === undefined ? otherwise : Number(values[name])
    if (!Number.isSafeInteger(value) || value < least)
      throw new Error(`--${name} is ${values[name]}; give a whole number from ${least} on`)
    return value
  }
  const { protocol, liars } = values
  if (protocol !== 'raft' && protocol !== 'bft') throw new Error(`--protocol is ${protocol}; give raft or bft`)
  if (liars !== 'within' && liars !== 'over' && liars !== 'mixed')
    throw new Error(`--liars is ${liars}; give within, over or mixed`)
  if (protocol === 'bft') {
    const lasts = whole('lasts', 4000, 1)
    const isOne = values.seed !== undefined
    const { figures, isWell } = await campaignBft({
      from: isOne ? whole('seed', 0, 0) : whole('from', 1, 0),
      seeds: isOne ? 1 : whole('seeds', 100, 1),
      wishes: { protocol, lasts, liars },
      workers: whole('workers', availableParallelism(), 1),
      entry: new URL(import.meta.url),
      say: (line) => void (values.json || console.error(line)),
      replay: (seed) => `npm run simulate -- --protocol bft --seed ${seed} --lasts ${lasts} --liars ${liars}`,
    })
    console.log(JSON.stringify(figures))
    if (!isWell) process.exitCode = 1
    return
  }
  const events = whole('events', 20_000, 1)
  const without = values.without?.split(',').filter((kind) => kind !== '')
  const blackouts = whole('blackouts', 0, 0)
  const { storage } = values
  if (storage !== undefined && storage !== 'virtual' && storage !== 'wal')
    throw new Error(`--storage is ${storage}; give virtual or wal`)
  const one = values.seed !== undefined || values.plan !== undefined
  const wishes: Wishes = {
    events,
    ...(without && { without }),
    ...(storage && { storage }),
    ...(blackouts > 0 && { blackouts: one ? blackouts : Math.max(1, Math.floor(events / 500)) }),
  }
  planFor(0, wishes) // what can not be wished for is refused before anything begins
  const replay = [
    `--events ${events}`,
    ...(without ? [`--without ${without.join(',')}`] : []),
    ...(storage ? [`--storage ${storage}`] : []),
    ...(wishes.blackouts ? [`--blackouts ${wishes.blackouts}`] : []),
  ].join(' ')
  const say = (line: string): void => {
    if (!values.json) console.error(line)
  }
  const total = new Total()
  const failures: Outcome[] = []
  const began = performance.now()

  if (one) {
    const plan =
      values.plan !== undefined
        ? leaveOut(readPlan(readFileSync(values.plan, 'utf8')), without ?? [])
        : planFor(whole('seed', 0, 0), wishes)
    if (values.save !== undefined) writeFileSync(values.save, `${JSON.stringify(plan, undefined, 1)}\n`)
    const outcome = values.trace === undefined ? await carryOut(plan) : await traced(plan, values.trace)
    total.add(outcome)
    if (values.verbose) say(JSON.stringify({ faults: outcome.faults, counts: outcome.counts }, undefined, 1))
    if (failed(outcome)) {
      failures.push(outcome)
      await report(plan, outcome, replay, say, values.shrink && values.plan === undefined)
    }
  } else {
    const seeds = blackouts > 0 && values.seeds === undefined ? Number.MAX_SAFE_INTEGER : whole('seeds', 100, 1)
    const from = whole('from', 1, 0)
    let shown = began
    await campaign({
      from,
      seeds,
      wishes,
      workers: whole('workers', availableParallelism(), 1),
      entry: new URL(import.meta.url),
      ended: (outcome) => {
        total.add(outcome)
        if (failed(outcome)) {
          failures.push(outcome)
          say(
            `seed ${outcome.seed}: ${outcome.violation?.message ?? `did not exercise ${outcome.uncovered.join(', ')}`}`,
          )
        }
        if (values.first && failures.length > 0) return 'enough'
        if (blackouts > 0 && total.blackouts >= blackouts) return 'enough'
        const now = performance.now()
        if (now - shown < 2000) return
        shown = now
        const { seeds: done, events: so } = total
        const goal =
          blackouts > 0 ? `${done} seeds, ${total.blackouts}/${blackouts} blackouts` : `${done}/${seeds} seeds`
        say(`${goal}, ${so} events, ${Math.round((so / (now - began)) * 1000)} per second`)
      },
    })
    const broken = failures.filter(({ violation }) => violation)
    for (const outcome of broken.slice(0, 3))
      await report(planFor(outcome.seed, wishes), outcome, replay, say, values.shrink)
    if (failures.length > 3) say(`${failures.length} seeds failed; replay any with --seed N ${replay}`)
  }
  const seconds = (performance.now() - began) / 1000
  console.log(JSON.stringify(total.figures(seconds)))
  if (failures.length > 0) process.exitCode = 1
}

/** Carries it out and writes its trace. */
async function traced(plan: Plan, file: string): Promise<Outcome> {
  const descriptor = openSync(file, 'w')
  let lines: string[] = []
  const flush = (): void => {
    writeSync(descriptor, lines.join(''))
    lines = []
  }
  try {
    return await carryOut(plan, (line) => {
      if (lines.push(line) >= 5000) flush()
    })
  } finally {
    flush()
    closeSync(descriptor)
  }
}

/** What a person needs to look into it: the violation, the command that replays it, and the smallest plan that breaks the same. */
async function report(
  plan: Plan,
  outcome: Outcome,
  how: string,
  say: (line: string) => void,
  smaller: boolean,
): Promise<void> {
  const { seed, violation } = outcome
  if (!violation) return
  say(`\nseed ${seed}: ${violation.message}\n${violation.details}\n${violation.stack}`)
  say(`replay: npm run simulate -- --seed ${seed} ${how}`)
  mkdirSync(folder, { recursive: true })
  let last = plan
  if (smaller) {
    say('looking for a smaller run that breaks the same …')
    const shrunk = await shrink(plan, outcome)
    last = shrunk.plan
    const { acts, founders, spares, workload, events } = last
    const file = join(folder, `${seed}.plan.json`)
    writeFileSync(file, `${JSON.stringify(last, undefined, 1)}\n`)
    say(
      `after ${shrunk.runs} runs: ${acts.length} acts, ${founders}+${spares} servers, ${workload.clients} clients, ${events} events`,
    )
    say(`replay: npm run simulate -- --plan ${file}`)
  }
  const trace = join(folder, `${seed}.trace.ndjson`)
  await traced(last, trace)
  say(`its trace: ${trace}`)
}

if (isMainThread)
  main().catch((error: unknown) => {
    console.error(error instanceof Error && !('code' in error) ? error.message : error)
    process.exitCode = 2
  })
else serveCampaign()
