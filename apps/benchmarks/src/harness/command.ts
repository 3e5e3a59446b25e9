import { spawn } from 'node:child_process'
import { mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { type Command, readCommand, usage } from './arguments.ts'
import type { Part } from './part.ts'
import { isColourful, pages, progress } from './print.ts'
import { type Result, resultFile, writeResult } from './result.ts'
import { run } from './run.ts'

/** The command. Resolves to its exit code: 0 measured, 1 a part failed, 2 not understood. */
export async function command(args: readonly string[], parts: readonly Part[], report: () => string): Promise<number> {
  // Children and their directories go with this process.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130))
  let wish: ReturnType<typeof readCommand>
  try {
    wish = readCommand(args, parts)
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`)
    return 2
  }
  if (wish === 'help') console.log(usage)
  else if (wish === 'list') console.log(parts.map(entry).join('\n'))
  else if (wish.part === 'report') {
    try {
      console.log(report())
    } catch (error) {
      console.error((error as Error).message)
      return 1
    }
  } else if (wish.background) inBackground(args, wish)
  else return wish.part === 'all' ? all(parts, wish) : one(parts.find(({ name }) => name === wish.part)!, wish)
  return 0
}

async function one(part: Part, wish: Command): Promise<number> {
  const result = await measured(part, wish, wish.out)
  console.log(JSON.stringify(result))
  return result.ok ? 0 : 1
}

/** Every part, although one fails; the last line tells which. */
async function all(parts: readonly Part[], wish: Command): Promise<number> {
  const results: Result[] = []
  for (const part of parts) results.push(await measured(part, wish, undefined))
  const ok = results.every((result) => result.ok)
  console.log(JSON.stringify({ part: 'all', ok, quick: wish.quick, parts: results }))
  return ok ? 0 : 1
}

async function measured(part: Part, wish: Command, out: string | undefined): Promise<Result> {
  const file = out ?? resultFile(part.name, new Date())
  const { say, end } = progress()
  const result = await run(part, wish, say)
  end()
  writeResult(file, result)
  console.log(pages(result, isColourful(process.stdout)))
  console.log(`${part.name}: ${result.took} s, ${file}\n`)
  return result
}

/** The same command without `--background`, in a process that outlives this one. */
function inBackground(args: readonly string[], wish: Command): void {
  const file = wish.out ?? resultFile(wish.part, new Date())
  const log = file.replace(/(\.json)?$/, '.log')
  mkdirSync(dirname(file), { recursive: true })
  const output = openSync(log, 'w')
  const rest = args.filter((word) => word !== '--background')
  const out = wish.out === undefined && wish.part !== 'all' ? ['--out', file] : []
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, ...rest, ...out], {
    detached: true,
    stdio: ['ignore', output, output],
  })
  child.unref()
  console.log(
    `process ${child.pid} measures; its result will be in ${wish.part === 'all' ? dirname(file) : file}, what it says is in ${log}`,
  )
}

function entry({ name, answers, flags = {} }: Part): string {
  const own = Object.entries(flags).map(
    ([flag, { type, what }]) => `\n             --${flag}${type === 'string' ? ' …' : ''}  ${what}`,
  )
  return `${name.padEnd(12)} ${answers}${own.join('')}`
}
