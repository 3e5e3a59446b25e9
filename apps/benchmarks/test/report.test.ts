import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { countFlushes } from '../src/harness/flushes.ts'
import { machine } from '../src/harness/machine.ts'
import type { Chart, Figure, Findings } from '../src/harness/part.ts'
import { flatten, newestResult, type Result, writeResult } from '../src/harness/result.ts'
import { figuresTable, number, tableOf, verdict } from '../src/harness/table.ts'
import { svg } from '../src/report/chart.ts'
import { page } from '../src/report/page.ts'
import { report } from '../src/report/report.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'raftkit-bench-report-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const chart: Chart = {
  name: 'speed',
  title: 'A < B & "C"',
  unit: 'puts/s',
  scale: 'log',
  groups: ['batch 1', 'batch 128'],
  series: [
    { name: 'wal', values: [5000, 400_000] },
    { name: 'level', values: [2000, null] },
  ],
}
const figure = (value: number): Figure => ({
  measure: 'storage-wal, durable records/s',
  at: 'batch 128',
  beside: 'storage-level',
  value,
  low: value * 0.9,
  high: value * 1.1,
  unit: '×',
  must: { atLeast: 4 },
  goal: { atLeast: 6 },
})
const findings: Findings = {
  tables: [
    {
      name: 'writes',
      title: 'Records made durable',
      columns: [
        { field: 'batch', title: 'batch' },
        { field: 'perSecond', title: 'records/s' },
      ],
      rows: [{ batch: 1, perSecond: 5123.4, spread: { perSecond: 0.12 } }],
    },
  ],
  figures: [figure(3)],
  charts: [chart],
  notes: ['A note.'],
}

function result(more: Partial<Result> = {}): Result {
  const about = {
    part: 'storage',
    ok: true,
    at: '2026-01-02T03:04:05.000Z',
    took: 61,
    quick: false,
    seconds: 2,
    pairs: 5,
    others: 0.1,
  }
  return { ...about, machine: machine(directory), ...flatten(findings), ...more }
}

describe('a result', () => {
  it('has all rows, each with the name of its table', () => {
    expect(flatten(findings).rows).toEqual([
      { table: 'writes', batch: 1, perSecond: 5123.4, spread: { perSecond: 0.12 } },
    ])
  })

  it('is refused when it cannot be right', () => {
    const table = findings.tables[0]!
    expect(() => flatten({ ...findings, tables: [] })).toThrow('nothing was measured')
    expect(() =>
      flatten({ ...findings, tables: [{ ...table, rows: [{ batch: 1, perSecond: Number.POSITIVE_INFINITY }] }] }),
    ).toThrow('perSecond is Infinity')
    expect(() => flatten({ ...findings, tables: [{ ...table, rows: [{ batch: 1 }] }] })).toThrow(
      'no row of table writes has the field perSecond',
    )
    expect(() => flatten({ ...findings, figures: [figure(Number.NaN)] })).toThrow(
      'storage-wal, durable records/s" is NaN',
    )
  })

  it('is found again: the newest that is good, and a full run before a quick one', async () => {
    expect(newestResult('storage', join(directory, 'none'))).toBeUndefined()
    writeResult(join(directory, 'storage-1.json'), result({ at: '2026-01-01T00:00:00.000Z' }))
    writeResult(join(directory, 'storage-2.json'), result({ at: '2026-01-02T00:00:00.000Z' }))
    writeResult(join(directory, 'storage-3.json'), result({ at: '2026-01-03T00:00:00.000Z', ok: false }))
    writeResult(join(directory, 'storage-4.json'), result({ at: '2026-01-04T00:00:00.000Z', quick: true }))
    await writeFile(join(directory, 'storage-5.json'), '{"part":"stor')
    writeResult(join(directory, 'core-1.json'), result({ part: 'core', at: '2026-01-06T00:00:00.000Z' }))
    expect(newestResult('storage', directory)?.at).toBe('2026-01-02T00:00:00.000Z')
  })
})

describe('a table', () => {
  it('has three digits and a comma at each thousand', () => {
    expect([0, 7, 1024, 5123.4, 0.012345, 1_234_567.8].map((n) => number(n))).toEqual([
      '0',
      '7',
      '1,024',
      '5,120',
      '0.0123',
      '1,230,000',
    ])
  })

  it('shows the spread from 5 % on', () => {
    const columns = [{ field: 'n', title: 'n' }]
    expect(tableOf(columns, [{ n: 10, spread: { n: 0.12 } }])).toContain('| 10 ±12% |')
    expect(tableOf(columns, [{ n: 10, spread: { n: 0.04 } }])).toContain('| 10 |')
  })

  it('shows the interval of a ratio, unless there was one pair', () => {
    expect(figuresTable([figure(10)])).toContain('9 … 11')
    expect(figuresTable([{ ...figure(10), low: 10, high: 10 }])).not.toContain('…')
  })

  it('knows which bar is reached, either way round', () => {
    expect([3.9, 4, 6].map((value) => verdict(figure(value)))).toEqual(['short', 'must', 'goal'])
    const below: Figure = { measure: 'm', value: 5, unit: 'µs', must: { atMost: 8 }, goal: { atMost: 4 } }
    expect([9, 8, 4].map((value) => verdict({ ...below, value }))).toEqual(['short', 'must', 'goal'])
    expect(verdict({ measure: 'm', value: 1, unit: '' })).toBe('none')
  })
})

describe('the page', () => {
  const told = (value: number) => [
    { part: { name: 'calibrate', answers: 'what can it do?' }, result: undefined },
    { part: { name: 'storage', answers: 'how fast?' }, result: result({ figures: [figure(value)] }) },
  ]

  it('says what falls short and by how much', () => {
    expect(page(told(3))).toContain('Of 1 figures with a bar, 0 reach their goal, 0 what they must, 1 fall short.')
    expect(page(told(3))).toContain(
      '- **storage-wal, durable records/s** (batch 128, beside storage-level): 3 ×, 25 % below 4.',
    )
    const why = 'The disk bounds it.'
    const explained = result({ figures: [{ ...figure(3), why }] })
    expect(page([{ part: { name: 'storage', answers: 'how fast?' }, result: explained }])).toContain(`below 4. ${why}`)
    expect(page(told(7))).toContain('1 reach their goal')
    expect(page(told(7))).toContain('Nothing that was measured.')
  })

  it('says which parts were not measured, and how to', () => {
    expect(page(told(7))).toContain('not measured yet: `npm run bench -- calibrate`')
  })

  it('says when the machine had other work, or the run was quick', () => {
    const of = (more: Partial<Result>) => page([{ part: told(7)[1]!.part, result: result(more) }])
    expect(of({})).not.toContain('was busy')
    expect(of({ others: 1000 })).toContain('the machine was busy: not to be believed')
    expect(of({ quick: true })).toContain('quick run')
    expect(of({ quick: true })).toContain('**Not to be believed yet: storage**')
  })

  it('shows tables, charts, notes and the machine, and is the same for the same results', () => {
    const text = page(told(7))
    expect(text).toContain('| 5,120 ±12% |')
    expect(text).toContain('![A < B & "C"](performance/speed.svg)')
    expect(text).toContain('- A note.')
    expect(text).toContain(`Node ${process.version.slice(1)}`)
    expect(page(told(7))).toBe(text)
  })

  it('is written with its charts, from result files', async () => {
    const results = join(directory, 'results')
    writeResult(join(results, 'storage-1.json'), result())
    const storage = { name: 'storage', answers: 'how fast?', seconds: 1, cases: {}, run: async () => findings }
    expect(report([storage], directory, results)).toBe(`${join(directory, 'performance.md')}, 1 charts`)
    expect(await readFile(join(directory, 'performance.md'), 'utf8')).toContain('# Performance')
    expect(await readFile(join(directory, 'performance', 'speed.svg'), 'utf8')).toContain('<svg')
    expect(() => report([storage], join(directory, 'nowhere'), results)).toThrow('run it in the root')
  })

  it('puts the tables into the guide that has a place for them, as often as it is written', async () => {
    const results = join(directory, 'results')
    writeResult(join(results, 'storage-1.json'), result())
    const storage = { name: 'storage', answers: 'how fast?', seconds: 1, cases: {}, run: async () => findings }
    await mkdir(join(directory, 'guides'))
    const guide = join(directory, 'guides', 'choose-a-storage.md')
    const marks = ['<!-- measured: storage -->', '<!-- end of measured: storage -->']
    await writeFile(guide, `Before.\n\n${marks.join('\n\n')}\n\nAfter.\n`)
    expect(report([storage], directory, results)).toContain(guide)
    const once = await readFile(guide, 'utf8')
    expect(once).toContain('| 5,120 ±12% |')
    expect(once.startsWith(`Before.\n\n${marks[0]}\n\n**`)).toBe(true)
    expect(once.endsWith(`|\n\n${marks[1]}\n\nAfter.\n`)).toBe(true)
    report([storage], directory, results)
    expect(await readFile(guide, 'utf8')).toBe(once)
    await writeFile(guide, 'No marks.')
    expect(() => report([storage], directory, results)).toThrow('has no place for the tables')
  })
})

describe('a chart', () => {
  it('names every group and series, and what was not measured', () => {
    const text = svg(chart)
    for (const word of [
      'batch 1',
      'batch 128',
      'wal',
      'level',
      '400,000',
      'not measured',
      'logarithmic',
      'prefers-color-scheme: dark',
    ])
      expect(text).toContain(word)
    expect(text).not.toContain('NaN')
  })

  it('is well-formed whatever its words', () => {
    expect(svg(chart)).toContain('<title>A &#60; B &#38; &#34;C&#34;</title>')
  })

  it('begins at nought if it is linear', () => {
    const text = svg({
      ...chart,
      scale: 'linear',
      groups: ['g'],
      series: [
        { name: 's', values: [0] },
        { name: 't', values: [8] },
      ],
    })
    expect(text).toContain('<rect')
    expect(text).not.toContain('<circle')
    expect(text).not.toContain('NaN')
  })
})

describe('counting flushes', () => {
  const count = (text: string) => countFlushes(Readable.from(text), '/data', new Set(['/data/known']))

  it('counts fsync, fdatasync and synchronous writes, in the directory only, and only what succeeded', async () => {
    const found =
      await count(`10 openat(AT_FDCWD</tmp>, "/data/log", O_WRONLY|O_CREAT|O_DSYNC|O_CLOEXEC, 0666) = 20</data/log>
10 openat(AT_FDCWD</data>, "plain", O_WRONLY|O_CLOEXEC) = 21</data/plain>
10 pwrite64(20</data/log>, ""..., 4096, 0) = 4096
10 pwrite64(21</data/plain>, ""..., 100, 0) = 100
10 fdatasync(21</data/plain>) = 0
10 fsync(22</data>) = 0
10 fsync(23</elsewhere>) = 0
10 fsync(24</data2/file>) = 0
10 fdatasync(21</data/plain>) = -1 EIO (Input/output error)
10 write(25</data/known>, ""..., 7) = 7
10 write(3<socket:[123]>, ""..., 55) = 55
10 +++ exited with 0 +++
`)
    expect(found).toEqual({ flushes: 4, bytes: 4096 + 100 + 7 })
  })

  it('puts calls together that other threads interrupted', async () => {
    const found = await count(`10 openat(AT_FDCWD</tmp>, "/data/log", O_WRONLY|O_SYNC <unfinished ...>
11 fdatasync(21</data/plain> <unfinished ...>
10 <... openat resumed>) = 20</data/log>
12 pwrite64(20</data/log>, ""..., 4096, 0 <unfinished ...>
11 <... fdatasync resumed>) = 0
12 <... pwrite64 resumed>) = 4096
`)
    expect(found).toEqual({ flushes: 2, bytes: 4096 })
  })
})
