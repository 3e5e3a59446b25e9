import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { endCases, type Start, startCase } from './case.ts'
import { machine, othersSince, processorTime } from './machine.ts'
import { interleave, label } from './pairs.ts'
import type { Bench, Part } from './part.ts'
import { flatten, type Result, resultsDirectory } from './result.ts'

export interface Order {
  readonly seconds?: number
  readonly pairs?: number
  readonly quick: boolean
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
    interleave: (subjects, rounds = pairs) =>
      interleave(subjects, rounds, async ({ key, case: name, input, execArgv = [], seconds: own }, round) => {
        if (!quick) await settle(directory)
        const sample = await startCase({ ...span(name, input, own), execArgv }, bench.say).result
        const { perSecond } = sample
        const rate = perSecond === undefined ? '' : `  ${Math.round(perSecond).toLocaleString('en')}/s`
        bench.say(`pair ${round} of ${rounds}  ${label(key)}${rate}`)
        return sample
      }),
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
    const found = flatten(await part.run(bench))
    return { ...about(), ok: true, ...found }
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
