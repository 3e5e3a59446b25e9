import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { runCase } from '../src/harness/case.ts'
import { command } from '../src/harness/command.ts'
import { compare, row } from '../src/harness/pairs.ts'
import type { Case, Findings, Part } from '../src/harness/part.ts'
import { timed } from '../src/harness/timed.ts'

/** The command with parts of the tests' own. */
const answers = 'does the harness work?'
const column = { field: 'value', title: 'value' }
const one = (row: Record<string, string | number>): Findings => ({
  tables: [{ name: 'table', title: 'A title', columns: [column], rows: [row] }],
  figures: [],
})

const good: Part = {
  name: 'good',
  answers,
  seconds: 0.05,
  pairs: 3,
  flags: { factor: { type: 'string', what: 'what b is multiplied by; default 2' } },
  cases: {
    value: (async ({ value }: { value: number }, context) => {
      const { operations } = await timed(context, () => 1)
      return { value, operations, process: process.pid }
    }) satisfies Case,
  },
  async run(bench) {
    const factor = Number(bench.flags.factor ?? 2)
    const [a, b] = await bench.interleave([
      { key: { side: 'a' }, case: 'value', input: { value: 10 } },
      { key: { side: 'b' }, case: 'value', input: { value: 10 * factor } },
    ])
    const { value, low, high } = compare(b!, a!, 'value')
    const pids = [a!, b!].flatMap(({ samples }) => samples.map((sample) => sample.process))
    return {
      tables: [
        {
          name: 'sides',
          title: 'Two sides',
          columns: [{ field: 'side', title: 'side' }, column],
          rows: [row(a!), row(b!)],
        },
      ],
      figures: [
        { measure: 'b over a', value, low, high, unit: '×', must: { atLeast: 1.5 }, goal: { atLeast: 10 } },
        { measure: 'processes', value: new Set(pids).size, unit: '' },
      ],
      notes: [`with ${bench.pairs} pairs`],
    }
  },
}

const failing: Part = {
  name: 'failing',
  answers,
  seconds: 0.05,
  cases: {
    async throws() {
      throw new Error('the disk is on fire')
    },
    forever: (async (_: null, context) => {
      context.tell('here')
      return new Promise(() => setInterval(() => {}, 1000))
    }) satisfies Case,
    async leaves() {
      console.error('last words')
      process.exit(3)
    },
  },
  flags: {
    beside: { type: 'boolean', what: 'another case still runs when it fails' },
    how: { type: 'string', what: 'throws or leaves' },
    waiting: { type: 'boolean', what: 'the part waits for a word of the case' },
  },
  async run(bench) {
    if (bench.flags.beside) await bench.start('forever', null).next()
    if (bench.flags.waiting) await bench.start(String(bench.flags.how), null).next()
    await bench.interleave([{ key: {}, case: String(bench.flags.how ?? 'throws'), input: null }])
    return one({ value: 1 })
  },
}

/** A case with a helper, which adds what it is told. */
const talking: Part = {
  name: 'talking',
  answers,
  seconds: 0.05,
  cases: {
    adder: (async (start: number, context) => {
      let sum = start
      for (;;) {
        const told = await context.next()
        if (told === 'end') return { sum }
        sum += told as number
        context.tell(sum)
      }
    }) satisfies Case,
    asker: (async (_: null, context) => {
      const adder = context.start('adder', 40)
      adder.tell(1)
      const first = (await adder.next()) as number
      adder.tell(1)
      adder.tell('end')
      const { sum } = await adder.result
      await adder.next()
      const gone = await adder.next().then(
        () => 0,
        () => 1,
      )
      return { first, sum: sum!, gone }
    }) satisfies Case,
  },
  async run(bench) {
    const [series] = await bench.interleave([{ key: {}, case: 'asker', input: null }], 1)
    return {
      tables: [{ name: 'sums', title: 'Sums', columns: [{ field: 'sum', title: 'sum' }], rows: [row(series!)] }],
      figures: [],
    }
  },
}

/** Flushes in both ways, under the eyes of strace. */
const flushing: Part = {
  name: 'flushing',
  answers,
  seconds: 0.05,
  cases: {
    flush: (async (_: null, context) => {
      const plain = openSync(join(context.directory, 'plain'), 'w')
      const synchronous = openSync(join(context.directory, 'synchronous'), 'as')
      context.tell('open')
      await context.next()
      for (let i = 0; i < 5; i++) {
        writeSync(plain, Buffer.alloc(10))
        fdatasyncSync(plain)
      }
      for (let i = 0; i < 3; i++) writeSync(synchronous, Buffer.alloc(100))
      const later = openSync(join(context.directory, 'later'), 'as')
      writeSync(later, Buffer.alloc(1000))
      for (const fd of [plain, synchronous, later]) closeSync(fd)
      context.tell('written')
      await context.next()
      return {}
    }) satisfies Case,
  },
  async run(bench) {
    const { watchFlushes } = await import('../src/harness/flushes.ts')
    const helper = bench.start('flush', null)
    await helper.next()
    const watch = await watchFlushes(helper.pid, bench.directory)
    helper.tell('go')
    await helper.next()
    const { flushes, bytes } = await watch.stop()
    helper.tell('end')
    await helper.result
    return one({ value: flushes, bytes })
  },
}

/** Says who it is, and goes on for ever. */
const endless: Part = {
  name: 'endless',
  answers,
  seconds: 60,
  cases: {
    forever: (async (_: null, context) => {
      context.say(`process ${process.pid}`)
      return new Promise(() => setInterval(() => {}, 1000))
    }) satisfies Case,
  },
  async run(bench) {
    await bench.interleave([{ key: {}, case: 'forever', input: null }])
    return one({ value: 1 })
  },
}

const nothing: Part = {
  name: 'nothing',
  answers,
  seconds: 0.05,
  cases: {},
  run: async () => one({ value: Number.NaN }),
}

const parts = [good, failing, talking, flushing, nothing]
if (process.argv[2] === '--case') await runCase(async (name) => [...parts, endless].find((part) => part.name === name)!)
else
  process.exitCode = await command(
    process.argv.slice(2),
    process.argv[2] === 'endless' ? [endless] : parts,
    () => 'the report',
  )
