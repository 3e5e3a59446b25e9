#!/usr/bin/env node
import { createReadStream, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { Json } from './canonical.ts'
import { createChecker, type Report } from './check.ts'
import { HistoryError, quote } from './history.ts'
import type { Command, Stored } from './key-value.ts'
import { checkOrder } from './log-order.ts'
import { type KeyValueOperation, parseHistory } from './ndjson.ts'
import { timeline } from './timeline.ts'
import { describe, valueText, visible } from './wording.ts'

const usage = `Usage: raftkit-linearizability [FILE|-] [options]

Reads a history, one JSON object per line, from FILE or standard input, and says whether it is linearizable.

  --timeout S     seconds for all keys together, then undecided (default 60)
  --steps N       steps of the search per key, then undecided (default 20000000)
  --memory MIB    what the search of one key may take, then undecided (default 256)
  --order         check the order of the log instead: every operation that succeeded has an "index"
  --html FILE     write the operations around each violation as a page
  --help

Exit: 0 ok, 1 illegal, 2 undecided, 3 a malformed history, a wrong argument or an unreadable file.
The last line on standard output is JSON.`

const exits = { ok: 0, illegal: 1, undecided: 2 }
const offendingTold = 20

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      timeout: { type: 'string', default: '60' },
      steps: { type: 'string', default: '20000000' },
      memory: { type: 'string', default: '256' },
      order: { type: 'boolean', default: false },
      html: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(usage)
    return 0
  }
  if (positionals.length > 1) throw new TypeError(`one FILE at most, not ${positionals.length}`)
  if (values.order && values.html !== undefined)
    throw new TypeError('--html draws what the search found: leave --order out')
  const file = positionals[0] ?? '-'
  const input: AsyncIterable<Uint8Array> = file === '-' ? process.stdin : createReadStream(file)
  if (values.order) {
    const operations: KeyValueOperation[] = []
    for await (const operation of parseHistory(input)) operations.push(operation)
    return tellOrder(operations)
  }

  const timeout = positive('timeout', values.timeout) * 1000
  let start = 0
  const checker = createChecker({
    steps: Math.ceil(positive('steps', values.steps)),
    memory: Math.ceil(positive('memory', values.memory) * 1024 * 1024),
    expired: () => performance.now() - start > timeout,
  })
  for await (const operation of parseHistory(input)) checker.add(operation)
  start = performance.now()
  const report = checker.finish()
  if (values.html !== undefined) writeFileSync(values.html, timeline(report))
  return tell(report, performance.now() - start)
}

function tell(report: Report<Stored, Command, Json>, ms: number): number {
  const { offending, ...counts } = report
  for (const { key, verdict, operation, states } of offending) {
    const values = states.map((state) => valueText(state)).join(' or ')
    const what = `key ${quote(key)} ${verdict}: client ${quote(operation.client)}, ${describe(operation)}`
    const when = `called at ${operation.call}, returned at ${operation.return}`
    console.log(visible(`${what}, ${when}, cannot be placed${values && ` where the value is ${values}`}`))
  }
  const told = offending.map(({ key, verdict }) => ({ key: key.slice(0, 200), verdict }))
  console.log(JSON.stringify({ ...counts, ms: Math.round(ms), offending: told }))
  return exits[report.verdict]
}

function tellOrder(operations: readonly KeyValueOperation[]): number {
  const { offending, ...counts } = checkOrder(operations)
  for (const { reason, operation, other, state } of offending) {
    const here = `client ${quote(operation.client)}, ${describe(operation)}, index ${operation.index}`
    const why = {
      time: `began after index ${other?.index} had returned`,
      index: 'is not the only one there',
      output: `cannot be answered where the value is ${valueText(state)}`,
    }
    console.log(visible(`key ${quote(operation.key)} illegal: ${here} ${why[reason]}`))
  }
  const told = offending.slice(0, offendingTold).map(({ reason, operation }) => ({
    key: operation.key.slice(0, 200),
    reason,
    index: operation.index,
  }))
  console.log(JSON.stringify({ ...counts, offending: told }))
  return exits[counts.verdict]
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !(value > 0 && value <= Number.MAX_SAFE_INTEGER)) {
    throw new RangeError(`--${name} must be a positive number, not ${quote(text)}`)
  }
  return value
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  const malformed = error instanceof HistoryError
  const message = visible(error instanceof Error ? error.message : String(error))
  console.error(malformed ? message : `${message}\n\n${usage}`)
  console.log(
    JSON.stringify({
      verdict: malformed ? 'malformed' : 'error',
      error: message,
      ...(malformed && { line: error.line }),
    }),
  )
  process.exitCode = 3
}
