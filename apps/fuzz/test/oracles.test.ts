import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Crew } from '../src/crew.ts'
import type { Found } from '../src/slice.ts'
import { targets } from './planted.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const directory = join(root, 'apps/fuzz/.tmp/oracles')

// A worker's thread has no vitest: it runs a bundle of the sources.
beforeAll(async () => {
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}')
  await build({
    entryPoints: { worker: join(root, 'apps/fuzz/src/worker.ts'), planted: join(root, 'apps/fuzz/test/planted.ts') },
    outdir: directory,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    alias: Object.fromEntries(
      ['bytes', 'contract'].map((name) => [`@raftkit/${name}`, join(root, `packages/${name}/src/index.ts`)]),
    ),
  })
}, 60_000)
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** `patience` is short where a hang is planted, and no matter elsewhere. */
async function attack(
  target: string,
  most = 600,
  patience = 30_000,
): Promise<{ found: Found[]; inputs: number | undefined }> {
  const found: Found[] = []
  const crew = new Crew({
    program: pathToFileURL(join(directory, 'worker.js')),
    targets: pathToFileURL(join(directory, 'planted.js')).href,
    coverage: false,
    patience,
    heapMegabytes: 256,
    found: (one) => found.push(one),
  })
  const order = { type: 'slice', target, round: 'test', milliseconds: 120_000, most } as const
  const done = await crew.obey(order)
  await crew.dismiss()
  return { found, inputs: done?.tally?.inputs }
}

describe('of planted mistakes', { timeout: 60_000 }, () => {
  test('a sound parser has none', async () => {
    const { found, inputs } = await attack('sound', 2000)
    expect(found).toEqual([])
    expect(inputs).toBeGreaterThan(2000)
  })

  test.each([
    ['crash', 'crash', /TypeError/],
    ['foreignCode', 'crash', /TIMEOUT/],
    ['late', 'crash', /uncaught TypeError/],
    ['hang', 'hang', /no end after 500 ms/],
    ['neverSettles', 'hang', /no end after 500 ms/],
    ['pollution', 'pollution', /Object\.prototype\.polluted/],
    ['allocation', 'allocation', /bytes at once/],
    ['growth', 'allocation', /the heap grew/],
    ['disagreement', 'disagreement', /another/],
  ] as const)('%s is found, as a %s', async (target, kind, what) => {
    const { found } = await attack(target, 600, kind === 'hang' ? 500 : 30_000)
    expect(found[0]).toMatchObject({ kind, target })
    expect(found[0]!.what).toMatch(what)
    expect(found[0]!.input.length).toBeGreaterThan(0)
  })

  test.each([
    ['neverOpens', 'hang', /no end after 1500 ms of opening/],
    ['neverCloses', 'hang', /no end after 1500 ms of closing/],
    ['failsToOpen', 'crash', /in opening: Error: no port is left/],
  ] as const)('%s ends, and is told as a %s', async (target, kind, what) => {
    const { found, inputs } = await attack(target, 600, 500)
    expect(found).toHaveLength(1)
    expect(found[0]).toMatchObject({ kind, target })
    expect(found[0]!.what).toMatch(what)
    expect(inputs).toBeUndefined()
  })

  test('the same round finds the same', async () => {
    const first = await attack('crash')
    const second = await attack('crash')
    expect(first.found.map(({ number, input }) => [number, [...input]])).toEqual(
      second.found.map(({ number, input }) => [number, [...input]]),
    )
    expect(first.found.length).toBeGreaterThan(0)
  })

  test('every planted parser stands here', () => {
    expect(Object.keys(targets)).toHaveLength(13)
  })
})
