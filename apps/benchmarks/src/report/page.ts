import type { Machine } from '../harness/machine.ts'
import type { Chart, Figure, Part } from '../harness/part.ts'
import type { Result } from '../harness/result.ts'
import { figuresTable, number, tableOf, verdict } from '../harness/table.ts'
import { method } from './method.ts'

/** A part, and its newest result if there is one. */
export interface Told {
  readonly part: Pick<Part, 'name' | 'answers'>
  readonly result: Result | undefined
}

/** Where the chart stands, seen from the page. */
export function chartPath(chart: Chart): string {
  return `performance/${chart.name}.svg`
}

/** The page as Markdown. The same results give the same page. */
export function page(told: readonly Told[]): string {
  const results = told.flatMap(({ result }) => result ?? [])
  const figures = results.flatMap((result) => result.figures)
  return `${[
    '# Performance',
    '*Answers: how fast is it, beside what, and how do you know?* Written by `npm run bench -- report` from the newest result of every part: change the benchmarks, not this page.',
    summary(figures),
    ...doubts(results),
    ...(figures.length > 0 ? ['## What must be shown', bySubject(figures)] : []),
    '## What falls short',
    shortfalls(figures),
    '## Where and when',
    machines(results),
    runs(told),
    method,
    ...told.flatMap(section),
  ].join('\n\n')}\n`
}

function summary(figures: readonly Figure[]): string {
  const count = (wanted: string) => figures.filter((figure) => verdict(figure) === wanted).length
  const barred = figures.filter((figure) => figure.must).length
  if (barred === 0) return 'Nothing that has a bar to reach has been measured yet.'
  return `Of ${barred} figures with a bar, ${count('goal')} reach their goal, ${count('must')} what they must, ${count('short')} fall short.`
}

/** Figures without a bar stand with their part. */
function bySubject(figures: readonly Figure[]): string {
  const barred = figures.filter((figure) => figure.must || figure.goal)
  return figuresTable(barred)
}

function shortfalls(figures: readonly Figure[]): string {
  const short = figures.filter((figure) => verdict(figure) === 'short')
  if (short.length === 0) return 'Nothing that was measured.'
  return short
    .map((figure) => {
      const { measure, at, beside, value, unit, why } = figure
      const where = [at, beside && `beside ${beside}`].filter(Boolean).join(', ')
      return `- **${measure}**${where && ` (${where})`}: ${number(value)}${unit && ` ${unit}`}, ${by(figure)}.${why ? ` ${why}` : ''}`
    })
    .join('\n')
}

function by({ value, must }: Figure): string {
  if (!must) return ''
  if ('atLeast' in must) return `${number((1 - value / must.atLeast) * 100, 2)} % below ${must.atLeast}`
  return must.atMost === 0
    ? 'where none may be'
    : `${number((value / must.atMost - 1) * 100, 2)} % above ${must.atMost}`
}

/** Where figures stand that show nothing yet. */
function doubts(results: readonly Result[]): string[] {
  const doubtful = results.filter((result) => remark(result) !== '').map(({ part }) => part)
  return doubtful.length > 0
    ? [`**Not to be believed yet: ${doubtful.join(', ')}**, see [where and when](#where-and-when).`]
    : []
}

function machines(results: readonly Result[]): string {
  const distinct = new Map(results.map(({ machine }) => [JSON.stringify(machine), machine]))
  const described = [...distinct.values()].map(describe)
  if (described.length === 0) return 'Nothing has been measured yet.'
  if (described.length === 1) return described[0]!
  return `The parts ran on different machines; only figures of one part stand side by side.\n\n${described.map((line) => `- ${line}`).join('\n')}`
}

function describe({ processor, cores, memoryGiB, system, node, fileSystem }: Machine): string {
  return `${cores} cores (${processor}), ${memoryGiB} GiB of memory, ${system}, Node ${node.slice(1)}, ${fileSystem}.`
}

function runs(told: readonly Told[]): string {
  const rows = told.map(({ part, result }) =>
    result
      ? {
          part: `[${part.name}](#${part.name})`,
          at: result.at.slice(0, 16).replace('T', ' '),
          seconds: result.seconds,
          pairs: result.pairs,
          took: `${Math.ceil(result.took / 60)} min`,
          others: Math.round(result.others * 100) / 100,
          remark: remark(result),
        }
      : { part: part.name, remark: `not measured yet: \`npm run bench -- ${part.name}\`` },
  )
  return tableOf(
    [
      { field: 'part', title: 'part' },
      { field: 'at', title: 'began (UTC)' },
      { field: 'seconds', title: 's per sample' },
      { field: 'pairs', title: 'pairs' },
      { field: 'took', title: 'took' },
      { field: 'others', title: 'cores busy with other work', digits: 2 },
      { field: 'remark', title: '' },
    ],
    rows,
  )
}

function remark({ quick, others, machine }: Result): string {
  if (quick) return 'quick run: its figures say little'
  return others > machine.cores / 10 ? 'the machine was busy: not to be believed' : ''
}

function section({ part, result }: Told): string[] {
  if (!result) return []
  const { rows, tables, charts, notes, figures } = result
  const unbarred = figures.filter((figure) => !figure.must && !figure.goal)
  return [
    `## ${part.name}`,
    `*${part.answers[0]!.toUpperCase()}${part.answers.slice(1)}*`,
    ...charts.map((chart) => `![${chart.title}](${chartPath(chart)})`),
    ...tables.flatMap(({ name, title, columns }) => [
      `**${title}**`,
      tableOf(
        columns,
        rows.filter((row) => row.table === name),
      ),
    ]),
    ...(unbarred.length > 0 ? ['**Ratios without a bar**', figuresTable(unbarred)] : []),
    ...(notes.length > 0 ? [notes.map((note) => `- ${note}`).join('\n')] : []),
  ]
}
