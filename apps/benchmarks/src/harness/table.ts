import { stripVTControlCharacters } from 'node:util'
import { markdownTable } from 'markdown-table'
import type { Bar, Column, Figure, Row, Sample } from './part.ts'

export type Paint = (verdict: Verdict, text: string) => string
export type Verdict = 'goal' | 'must' | 'short' | 'none'

/** Rows as a Markdown table, numbers to the right; a spread of 5 % and more stands beside its number. */
export function tableOf(columns: readonly Column[], rows: readonly Row[]): string {
  return markdownTable(
    [
      columns.map(({ title }) => title),
      ...rows.map((row) => columns.map(({ field, digits }) => cell(row, field, digits))),
    ],
    { align: columns.map(({ field }) => (rows.some((row) => typeof row[field] === 'number') ? 'r' : 'l')) },
  )
}

function cell(row: Row, field: string, digits = 3): string {
  const value = row[field]
  if (value === undefined) return ''
  if (typeof value !== 'number') return String(value)
  const spread = (row.spread as Sample | undefined)?.[field] ?? 0
  return spread >= 0.05 ? `${number(value, digits)} ±${Math.round(spread * 100)}%` : number(value, digits)
}

/** So many significant digits, never in powers of ten; thousands apart. */
export function number(value: number, digits = 3): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return value.toLocaleString('en')
  return value.toLocaleString('en', { maximumSignificantDigits: digits })
}

/** What a figure reached. */
export function verdict({ value, must, goal }: Figure): Verdict {
  if (!must && !goal) return 'none'
  if (goal && reaches(value, goal)) return 'goal'
  if (!must) return 'none'
  return reaches(value, must) ? 'must' : 'short'
}

export const plain: Paint = (_, text) => text

/** The figures with their bars. */
export function figuresTable(figures: readonly Figure[], paint: Paint = plain): string {
  const words: Record<Verdict, string> = {
    goal: 'goal reached',
    must: 'must reached',
    short: '**falls short**',
    none: '',
  }
  return markdownTable(
    [
      ['measure', 'at', 'beside', 'measured', '95 %', 'must', 'goal', ''],
      ...figures.map((figure) => {
        const { measure, at = '', beside = '', value, low, high, unit, must, goal } = figure
        const reached = verdict(figure)
        return [
          measure,
          at,
          beside,
          `${number(value)}${unit && ` ${unit}`}`,
          low === undefined || high === undefined || low === high ? '' : `${number(low)} … ${number(high)}`,
          bar(must),
          bar(goal),
          paint(reached, words[reached]),
        ]
      }),
    ],
    {
      align: ['l', 'l', 'l', 'r', 'r', 'r', 'r', 'l'],
      stringLength: (text) => stripVTControlCharacters(text).length,
    },
  )
}

function reaches(value: number, bar: Bar): boolean {
  return 'atLeast' in bar ? value >= bar.atLeast : value <= bar.atMost
}

function bar(bar: Bar | undefined): string {
  if (!bar) return '—'
  return 'atLeast' in bar ? `≥ ${bar.atLeast}` : `≤ ${bar.atMost}`
}
