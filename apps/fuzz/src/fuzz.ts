import { randomInt } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readCorpus, writeCorpus } from './corpus.ts'
import { branchesOf, type FileCoverage } from './coverage.ts'
import { Crew } from './crew.ts'
import { type SiegeOptions, siege } from './siege/siege.ts'
import type { Found, Tally } from './slice.ts'
import { targets } from './targets/index.ts'

const usage = `usage: fuzz [--minutes 0.35] [--seed N] [--target name,name] [--workers 2]
       fuzz --replay FILE    the inputs of a finding again
       fuzz --adopt FILE     keeps them as a regression seed, once it is mended
       fuzz --seeds          makes the seeds anew, by the real encoders
       fuzz siege [--seconds 60] [--connections 10000] [--transport tcp]    a cluster of processes under hostile connections
       fuzz --grow           looks for inputs that reach new branches, and keeps them; --minutes and --target as above
Targets: ${Object.keys(targets).join(', ')}`

/** Wrong with less, in a run of all targets that lasts a minute or longer. */
const leastCoverage = 90

interface Arguments {
  readonly minutes: number
  readonly seed: string
  readonly names: readonly string[]
  readonly workers: number
  readonly patience: number
  readonly replay: string | undefined
  readonly adopt: string | undefined
  readonly seeds: boolean
  readonly grow: boolean
  readonly coverage: boolean
  readonly attack: SiegeOptions | undefined
}

function readArguments(): Arguments {
  try {
    const { values, positionals } = parseArgs({
      allowNegative: true,
      allowPositionals: true,
      options: {
        minutes: { type: 'string', default: '0.35' },
        seed: { type: 'string', default: String(randomInt(2 ** 31)) },
        target: { type: 'string' },
        workers: { type: 'string', default: '2' },
        patience: { type: 'string', default: '10000' },
        replay: { type: 'string' },
        adopt: { type: 'string' },
        seeds: { type: 'boolean', default: false },
        grow: { type: 'boolean', default: false },
        coverage: { type: 'boolean', default: true },
        seconds: { type: 'string', default: '60' },
        connections: { type: 'string', default: '10000' },
        transport: { type: 'string', default: 'tcp' },
      },
    })
    const [minutes, workers, patience] = [values.minutes, values.workers, values.patience].map(Number) as [
      number,
      number,
      number,
    ]
    if (!(minutes > 0 && minutes <= 10_000)) throw new Error('--minutes is more than 0, up to 10000')
    if (!(Number.isInteger(workers) && workers >= 1 && workers <= 64)) throw new Error('--workers is 1 to 64')
    if (!(patience >= 100)) throw new Error('--patience is 100 milliseconds or more')
    if (!/^[0-9a-z-]{1,40}$/i.test(values.seed)) throw new Error('--seed is a number, or letters, digits and dashes')
    const names = values.target?.split(',') ?? Object.keys(targets)
    for (const name of names) if (!Object.hasOwn(targets, name)) throw new Error(`there is no target ${name}`)
    const { seed, replay, adopt, seeds, grow, coverage } = values
    if (positionals.length > 1 || (positionals[0] ?? 'siege') !== 'siege')
      throw new Error('the only other command is siege')
    const [seconds, connections] = [Number(values.seconds), Number(values.connections)]
    if (!(seconds >= 1 && connections >= 1)) throw new Error('--seconds and --connections are 1 or more')
    const attack = positionals[0] === undefined ? undefined : { seconds, connections, transport: values.transport }
    return { minutes, workers, patience, seed, names, replay, adopt, seeds, grow, coverage, attack }
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`)
    process.exit(2)
  }
}

const given = readArguments()
const directory = join('.tmp', 'fuzz', given.seed)
const findings = new Map<string, { readonly file: string; readonly finding: Found; times: number }>()

/** Once for each cause: printed, and written to a file. */
function report(found: Found): void {
  const { kind, target, what, stack, input, before, round, number } = found
  const place = /\n +at .*/.exec(stack ?? '')?.[0] ?? ''
  const cause = `${target} ${kind} ${what.replace(/[0-9a-f]{8,}|\d+/g, '#').slice(0, 120)} ${place}`
  const known = findings.get(cause)
  if (known) {
    known.times++
    return
  }
  mkdirSync(directory, { recursive: true })
  const file = join(directory, `${target}-${findings.size + 1}.json`)
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
  writeFileSync(
    file,
    `${JSON.stringify({ target, kind, what, round, number, input: base64(input), before: before.map(base64), stack }, null, 1)}\n`,
  )
  findings.set(cause, { file, finding: found, times: 1 })
  const hex = Buffer.from(input.subarray(0, 256)).toString('hex')
  console.error(`
${kind.toUpperCase()} in ${target}: ${what.slice(0, 1000)}
${(stack ?? '').split('\n').slice(1, 6).join('\n')}
  ${input.length} bytes, input ${number} of round ${round}: ${hex}${input.length > 256 ? '…' : ''}
  base64: ${base64(input).slice(0, 4000)}
  again:  npm run fuzz -- --replay ${file}`)
}

const crew = (): Crew =>
  new Crew({
    program: new URL('./worker.js', import.meta.url),
    targets: new URL('./registry.js', import.meta.url).href,
    coverage: given.coverage || given.grow,
    patience: given.patience,
    heapMegabytes: 1024,
    found: report,
  })

interface Target {
  tally: Tally & { seconds: number }
}

/** Inputs a second, of all workers: five million in ten minutes. */
const pace = 9000
/** Milliseconds of a fast target at once, while inputs are to catch up. */
const burst = 3000

/**
 * Every worker takes the targets in turn, each for its share of half a minute or of the whole. Behind each such lap, the parsers that are quick by
 * themselves make up for what is missing to the pace, all of them for the same time, and for no longer than the lap: half of the time at least is
 * shared by weight.
 */
async function campaign(): Promise<void> {
  const { minutes, workers, seed, names } = given
  const weights = new Map<string, number>()
  for (const name of names) weights.set(name, (await targets[name]!()).weight)
  const sum = [...weights.values()].reduce((one, other) => one + other, 0)
  const started = performance.now()
  const end = started + minutes * 60_000
  const lap = Math.min(minutes * 60_000 * 0.92, 30_000)
  const seen = new Map<string, Target>()
  const parsers = new Map<string, RegExp>()
  const covered: unknown[] = []
  let heap = 0

  const work = async (number: number): Promise<void> => {
    const own = crew()
    // Each begins elsewhere, so that a short run has had them all.
    const order = names.map((_, i) => names[(i + Math.floor((number * names.length) / workers)) % names.length]!)
    const give = async (name: string, round: string, share: number): Promise<void> => {
      const milliseconds = Math.max(50, Math.min(end - performance.now(), share))
      const began = performance.now()
      const done = await own.obey({
        type: 'slice',
        target: name,
        round: `${seed}/${number}/${round}/${name}`,
        milliseconds,
      })
      for (const [file, functions] of Object.entries(done?.parsers ?? {})) parsers.set(file, functions)
      heap = Math.max(heap, done?.heap ?? 0)
      if (!done?.tally) return
      const { tally } = done
      const before = seen.get(name)?.tally
      seen.set(name, {
        tally: {
          inputs: tally.inputs + (before?.inputs ?? 0),
          sealed: tally.sealed + (before?.sealed ?? 0),
          taken: tally.taken + (before?.taken ?? 0),
          slowest: Math.max(tally.slowest, before?.slowest ?? 0),
          largest: Math.max(tally.largest, before?.largest ?? 0),
          grown: Math.max(tally.grown, before?.grown ?? 0),
          seconds: (performance.now() - began) / 1000 + (before?.seconds ?? 0),
        },
      })
    }
    const missing = (): number =>
      (pace * (performance.now() - started)) / 1000 -
      [...seen.values()].reduce((sum, { tally }) => sum + tally.inputs, 0)
    const isFast = (name: string): boolean => {
      const { inputs = 0, seconds = 1 } = seen.get(name)?.tally ?? {}
      return weights.get(name)! >= 1 && inputs / seconds > pace / (2 * workers)
    }
    for (let turn = 0; performance.now() < end; turn++) {
      const began = performance.now()
      for (const name of order)
        if (turn === 0 || performance.now() < end) await give(name, `${turn}`, (lap * weights.get(name)!) / sum)
      const most = Math.min(end, 2 * performance.now() - began)
      const fast = order.filter(isFast)
      for (let more = 0; fast.length > 0 && performance.now() < most && missing() > 0; more++)
        for (const name of fast)
          if (performance.now() < most) await give(name, `${turn}+${more}`, Math.min(burst, most - performance.now()))
    }
    if (given.coverage) covered.push((await own.obey({ type: 'coverage' }))?.coverage ?? [])
    await own.dismiss()
  }
  await Promise.all(Array.from({ length: workers }, (_, number) => work(number)))
  const took = (performance.now() - started) / 1000
  const files = given.coverage ? await branchesOf(covered, parsers) : []
  finish(took, seen, files, parsers, heap)
}

function finish(
  took: number,
  seen: ReadonlyMap<string, Target>,
  files: readonly FileCoverage[],
  parsers: ReadonlyMap<string, RegExp>,
  heap: number,
): never {
  const all = [...seen.values()].map(({ tally }) => tally)
  const total = (field: 'inputs' | 'sealed' | 'taken'): number => all.reduce((sum, tally) => sum + tally[field], 0)
  const round = (n: number, digits = 1): number => Number(n.toFixed(digits))
  const columns = (cells: readonly (string | number)[]): string =>
    cells.map((cell, i) => (i === 0 ? String(cell).padEnd(14) : String(cell).padStart(12))).join('')
  console.error(
    columns(['target', 'inputs', 'seconds', 'per second', 'sealed %', 'taken %', 'slowest ms', 'buffer', 'heap +']),
  )
  for (const name of Object.keys(targets)) {
    const tally = seen.get(name)?.tally
    if (!tally) continue
    const { inputs, seconds, sealed, taken, slowest, largest, grown } = tally
    const percent = (part: number): number => round((100 * part) / inputs)
    console.error(
      columns([
        name,
        inputs,
        round(seconds),
        Math.round(inputs / seconds),
        percent(sealed),
        percent(taken),
        round(slowest),
        largest,
        grown,
      ]),
    )
  }
  for (const { file, branches, covered, missed } of files)
    console.error(
      `${file}: ${covered} of ${branches} branches${missed.length > 0 ? `; not lines ${missed.join(', ')}` : ''}`,
    )
  const unseen = [...parsers.keys()].filter((parser) => !files.some(({ file }) => file === parser))
  if (given.coverage && unseen.length > 0) console.error(`no branches seen in: ${unseen.join(', ')}`)
  const branches = files.reduce((sum, { branches }) => sum + branches, 0)
  const covered = files.reduce((sum, { covered }) => sum + covered, 0)
  const percent = branches === 0 ? 0 : round((100 * covered) / branches)
  const kinds = [...findings.values()].map(({ finding }) => finding.kind)
  const wrong =
    kinds.length > 0 ||
    (given.coverage &&
      percent < leastCoverage &&
      given.minutes >= 1 &&
      given.names.length === Object.keys(targets).length)
  console.log(
    JSON.stringify({
      seed: given.seed,
      seconds: round(took),
      workers: given.workers,
      inputs: total('inputs'),
      perSecond: Math.round(total('inputs') / took),
      sealed: total('sealed'),
      taken: total('taken'),
      crashes: kinds.filter((kind) => kind === 'crash').length,
      hangs: kinds.filter((kind) => kind === 'hang').length,
      disagreements: kinds.filter((kind) => kind === 'disagreement').length,
      pollutions: kinds.filter((kind) => kind === 'pollution').length,
      overAllocations: kinds.filter((kind) => kind === 'allocation' || kind === 'memory').length,
      slowestMs: round(Math.max(0, ...all.map(({ slowest }) => slowest))),
      largestBufferBytes: Math.max(0, ...all.map(({ largest }) => largest)),
      heapAfterBytes: heap,
      ...(given.coverage && { branches, coveredBranches: covered, branchCoverage: percent }),
      findings: [...findings.values()].map(({ file, finding, times }) => ({
        target: finding.target,
        kind: finding.kind,
        what: finding.what.slice(0, 200),
        times,
        file,
      })),
      targets: Object.fromEntries([...seen].map(([name, { tally }]) => [name, tally.inputs])),
    }),
  )
  end(wrong || Crew.stuck > 0 ? 1 : 0)
}

/** A thread that cannot be ended would keep `exit` waiting for it. */
function end(code: number): never {
  if (Crew.stuck > 0) process.kill(process.pid, 'SIGKILL')
  process.exit(code)
}

interface Written {
  readonly target: string
  readonly input: string
  readonly before: readonly string[]
}

const readFinding = (file: string): Written => JSON.parse(readFileSync(file, 'utf8')) as Written
const fromBase64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'))

async function replay(file: string): Promise<void> {
  const { target, input, before } = readFinding(file)
  const own = crew()
  await own.obey({ type: 'replay', target, inputs: [...before, input].map(fromBase64) })
  await own.dismiss()
  console.log(JSON.stringify({ target, inputs: before.length + 1, wrong: findings.size }))
  process.exit(findings.size > 0 ? 1 : 0)
}

async function makeSeeds(): Promise<void> {
  const own = crew()
  const made: Record<string, number> = {}
  for (const target of given.names) made[target] = (await own.obey({ type: 'seeds', target }))?.seeds ?? 0
  await own.dismiss()
  console.log(JSON.stringify({ seeds: made }))
}

async function grow(): Promise<void> {
  const own = crew()
  const added: Record<string, number> = {}
  const milliseconds = (given.minutes * 60_000) / given.names.length
  for (const target of given.names)
    added[target] =
      (await own.obey({ type: 'grow', target, round: `${given.seed}/grow/${target}`, milliseconds }))?.seeds ?? 0
  await own.dismiss()
  console.log(JSON.stringify({ added, wrong: findings.size }))
  process.exit(findings.size > 0 ? 1 : 0)
}

if (given.attack) await siege(given.attack)
else if (given.replay !== undefined) await replay(given.replay)
else if (given.adopt !== undefined) {
  const { target, input } = readFinding(given.adopt)
  writeCorpus(target, [...readCorpus(target), { origin: 'regression', bytes: fromBase64(input) }])
  console.log(JSON.stringify({ target, seeds: readCorpus(target).length }))
} else if (given.seeds) await makeSeeds()
else if (given.grow) await grow()
else await campaign()
