import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { endCases, type Start, startCase } from './case.ts'
import { machine, othersSince, processorTime } from './machine.ts'
import { interleave, label } from './pairs.ts'
import type { Bench, Part, Subject } from './part.ts'
import { hottest, type Profile, profileTable } from './profile.ts'
import { flatten, type Result, resultsDirectory } from './result.ts'

export interface Order {
  readonly seconds?: number
  readonly pairs?: number
  readonly quick: boolean
  /** Each subject once more, profiled. */
  readonly hot: boolean
  readonly flags: Bench['flags']
}

/** Runs one part to its result, which says `ok: false` and why if it fails. */
export async function run(part: Part, order: Order, say: (line: string) => void): Promise<Result> {
  const { quick, flags } = order
  const seconds = order.seconds ?? (quick ? Math.min(part.seconds, 0.2) : part.seconds)
  const pairs = order.pairs ?? (quick ? 1 : (part.pairs ?? 5))
  const started = new Date()
  const before = processorTime()
  mkdirSync(resultsDirectory, { recursive: true })
  const directory = mkdtempSync(join(resolve(resultsDirectory), 'scratch-'))
  const remove = () => rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  process.on('exit', remove)

  const span = (name: string, input: unknown, of = seconds): Start => {
    const warmUp = Math.min(of / 2, 2)
    return { part: part.name, name, input, seconds: of, warmUp, quick, parent: directory }
  }
  const bench: Bench = {
    seconds,
    pairs,
    quick,
    flags,
    directory,
    say: (line) => say(`${part.name}  ${line}`),
    start: (name, input) => startCase(span(name, input), bench.say),
    async interleave(subjects, rounds = pairs) {
      const series = await interleave(subjects, rounds, async (subject, round) => {
        if (!quick) await settle(directory)
        const sample = await sampleOf(subject)
        const { perSecond } = sample
        const rate = perSecond === undefined ? '' : `  ${Math.round(perSecond).toLocaleString('en')}/s`
        bench.say(`pair ${round} of ${rounds}  ${label(subject.key)}${rate}`)
        return sample
      })
      if (order.hot) for (const subject of subjects) profiles.push(await profiled(subject))
      return series
    },
  }
  const sampleOf = ({ case: name, input, execArgv = [], seconds: own }: Subject, more: Partial<Start> = {}) =>
    startCase({ ...span(name, input, own), execArgv, ...more }, bench.say).result
  const profiles: Profile[] = []
  const profiled = async (subject: Subject): Promise<Profile> => {
    const profile = join(directory, `${profiles.length}.cpuprofile`)
    await sampleOf(subject, { profile })
    const of = label(subject.key)
    bench.say(`profiled  ${of}`)
    return { of, hot: hottest(profile, 8) }
  }

  const about = () => ({
    part: part.name,
    at: started.toISOString(),
    took: Math.round((Date.now() - started.getTime()) / 100) / 10,
    quick,
    seconds,
    pairs,
    machine: machine(directory),
    others: othersSince(before),
  })
  try {
    const found = await part.run(bench)
    const hot = profiles.filter((profile) => profile.hot.length > 0)
    const tables = hot.length > 0 ? [...found.tables, profileTable(hot)] : found.tables
    return { ...about(), ok: true, ...flatten({ ...found, tables }) }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { ...about(), ok: false, error: reason, rows: [], tables: [], figures: [], charts: [], notes: [] }
  } finally {
    endCases()
    remove()
    process.off('exit', remove)
  }
}

/** What the last sample left to be written is not the next one's to wait for. Best effort: a busy disk may never be done. */
async function settle(directory: string): Promise<void> {
  await promisify(execFile)('sync', ['--file-system', directory], { timeout: 10_000 }).catch(() => undefined)
}
