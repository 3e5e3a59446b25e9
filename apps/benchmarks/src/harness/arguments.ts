import { parseArgs } from 'node:util'
import type { Part } from './part.ts'
import type { Order } from './run.ts'

export interface Command extends Order {
  readonly part: string
  readonly out?: string
  readonly background: boolean
}

const options = {
  seconds: { type: 'string' },
  pairs: { type: 'string' },
  quick: { type: 'boolean', default: false },
  hot: { type: 'boolean', default: false },
  out: { type: 'string' },
  background: { type: 'boolean', default: false },
  list: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

export const usage = `usage: bench PART [--seconds S] [--pairs N] [--quick] [--out FILE] [--background]
       bench all [--quick] …     every part, one after the other
       bench report              the page docs/performance.md, from the newest results
       bench --list              the parts, what each answers, and its flags
  --seconds     how long one sample takes; --pairs: how often each case runs, in turns with those it is compared with
  --quick       a few seconds per part: shows that it runs, the figures say little
  --hot         each case once more, profiled: the functions that took most of its time
  --out         the result file; otherwise .tmp/bench/PART-TIME.json
  --background  returns at once and says where the result will be`

/** `'list'` and `'help'` are wishes to be told. Throws an error whose message is for the user. */
export function readCommand(args: readonly string[], parts: readonly Part[]): Command | 'list' | 'help' {
  const name = args.find((word) => !word.startsWith('-'))
  const part = parts.find((part) => part.name === name)
  const own = Object.entries((name === 'all' ? undefined : part?.flags) ?? {}).map(
    ([flag, { type }]) => [flag, { type }] as const,
  )
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { ...Object.fromEntries(own), ...options },
    allowPositionals: true,
  })
  if (values.list) return 'list'
  if (values.help) return 'help'
  if (positionals.length !== 1) throw new Error('one part is wanted')
  if (!part && name !== 'all' && name !== 'report')
    throw new Error(`there is no part ${name}; there are ${parts.map(({ name }) => name).join(', ')}, all, report`)
  const seconds = positive('seconds', values.seconds, 86_400)
  const pairs = positive('pairs', values.pairs, 1000)
  if (pairs !== undefined && !Number.isInteger(pairs)) throw new Error('--pairs is a whole number')
  return {
    part: name!,
    quick: values.quick,
    hot: values.hot,
    background: values.background,
    ...(values.out !== undefined && { out: values.out }),
    ...(seconds !== undefined && { seconds }),
    ...(pairs !== undefined && { pairs }),
    flags: Object.fromEntries(
      own.map(([flag]) => [flag, (values as Record<string, string | boolean | undefined>)[flag]]),
    ),
  }
}

function positive(flag: string, text: string | undefined, most: number): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!(value > 0 && value <= most)) throw new Error(`--${flag} is a number above 0, at most ${most}`)
  return value
}
