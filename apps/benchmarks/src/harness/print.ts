import { styleText } from 'node:util'
import type { Result } from './result.ts'
import { figuresTable, type Paint, plain, tableOf } from './table.ts'

const colours = { goal: 'green', must: 'cyan', short: 'red', none: 'reset' } as const
const painted: Paint = (verdict, text) => styleText(colours[verdict], text)

/** For people. The JSON line is not part of it. */
export function pages(result: Result, colourful: boolean): string {
  if (!result.ok) return `${result.part} failed: ${result.error}\n`
  const { rows, tables, figures, notes } = result
  const parts = tables.map(({ name, title, columns }) => {
    const own = rows.filter((row) => row.table === name)
    return `${title}\n\n${tableOf(columns, own)}`
  })
  if (figures.length > 0) parts.push(figuresTable(figures, colourful ? painted : plain))
  parts.push(...notes)
  return `${parts.join('\n\n')}\n`
}

export function isColourful(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY && !process.env.NO_COLOR
}

/** Progress on stderr: lines, or on a terminal one line that is written over. */
export function progress(stream: NodeJS.WriteStream = process.stderr): {
  say: (line: string) => void
  end: () => void
} {
  const started = performance.now()
  return {
    say(line) {
      const text = `${((performance.now() - started) / 1000).toFixed(0).padStart(5)} s  ${line}`
      stream.write(stream.isTTY ? `\r\x1b[K${text.slice(0, stream.columns - 1)}` : `${text}\n`)
    },
    end() {
      if (stream.isTTY) stream.write('\r\x1b[K')
    },
  }
}
