import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { cp, mkdtemp, open, readdir, rm, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { isRaftkitError } from '@raftkit/contract'
import { random, sameBytes } from '../check.ts'
import type { Suite } from '../runner.ts'
import { bytesOf, keep, readAll } from '../snapshots/blobs.ts'
import { Model } from './model.ts'
import { Place, promisesIn } from './place.ts'
import { contents, text } from './records.ts'
import type { StorageSubject } from './subject.ts'

interface File {
  readonly name: string
  readonly size: number
}

/** One harm, done to a copy of a sound directory while nobody holds it. */
type Harm = (path: string, file: File, at: number) => Promise<void>

const placesPerHarm = 40

const harms: readonly [string, Harm][] = [
  ['a bit is flipped', (path, _, at) => change(path, at, 1, (byte) => byte ^ (1 << (at % 8)))],
  ['512 bytes are zeroed', (path, { size }, at) => change(path, at, Math.min(512, size - at), () => 0)],
  ['a file is cut', (path, _, at) => truncate(path, at)],
]

/** What is left of a store whose files were cut or altered: nothing but the truth. */
export function damagePromises(suite: Suite, subject: StorageSubject): void {
  const title = (what: string): string => `wherever ${what}, the logs are whole or DAMAGED, never wrong`
  const ofSnapshots = 'wherever a file of the snapshots is harmed, a snapshot is whole, DAMAGED or MISSING, never wrong'
  const without = 'a directory that nobody touched is whole'
  const removed = title('a file is removed')
  if (subject.damage === false || subject.durable === false) {
    for (const name of [without, ...harms.map(([what]) => title(what)), removed, ofSnapshots])
      suite.skip(name, 'the subject keeps no files in the directory')
    return
  }
  // In memory where there is such a folder: hundreds of stores are opened here, and nothing rests on the flushes.
  const it = promisesIn(suite, subject, existsSync('/dev/shm') ? '/dev/shm' : undefined)
  it(without, async (place) => {
    assert.deepEqual([...(await harmLogs(place, 1, async () => undefined))], ['whole,whole'])
  })
  for (const [what, harm] of harms)
    it(title(what), async (place) => {
      const found = await harmLogs(place, placesPerHarm, harm)
      if (subject.damage !== 'loader')
        assert.ok(found.has('DAMAGED'), 'none of it was noticed: are the files elsewhere? Then say `damage: false`')
    })
  it(removed, async (place) => {
    await harmLogs(place, 0, (path) => rm(path))
  })
  it(ofSnapshots, harmSnapshots)
}

async function change(path: string, at: number, length: number, to: (byte: number) => number): Promise<void> {
  const file = await open(path, 'r+')
  try {
    const bytes = new Uint8Array(length)
    await file.read(bytes, 0, length, at)
    await file.write(bytes.map(to), 0, length, at)
  } finally {
    await file.close()
  }
}

/** Every file of the directory that holds anything. */
async function filesOf(directory: string): Promise<File[]> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true })
  const files = entries.filter((entry) => entry.isFile())
  // Node 20 calls the folder of an entry `path`, later ones `parentPath`.
  const names = files.map((entry) => join(entry.parentPath ?? entry.path, entry.name)).sort()
  const sized = await Promise.all(
    names.map(async (path) => ({ name: path.slice(directory.length + 1), size: (await stat(path)).size })),
  )
  return sized.filter(({ size }) => size > 0)
}

/** Both ends of every file, and a walk through all of them; with `most` 0, once per file. */
function places(files: readonly File[], most: number): { file: File; at: number }[] {
  if (most < 2) return files.slice(0, most || undefined).map((file) => ({ file, at: 0 }))
  const stride = Math.ceil(files.reduce((sum, { size }) => sum + size, 0) / most) | 1
  return files.flatMap((file) => {
    const walk = Array.from({ length: Math.ceil(file.size / stride) }, (_, i) =>
      Math.min(i * stride + 9, file.size - 1),
    )
    return [...new Set([0, ...walk, file.size - 1])].map((at) => ({ file, at }))
  })
}

/** Two groups with cuts, resets and compactions over two lives; then each harm on a copy of its own. Returns the verdicts. */
async function harmLogs(place: Place, most: number, harm: Harm): Promise<Set<string>> {
  const { subject } = place
  const models = new Map([
    ['a', new Model()],
    ['b', new Model()],
  ])
  const below = random(42 * (subject.seed ?? 1))
  for (let life = 0; life < 2; life++) {
    const [a, b] = [await place.log('a'), await place.log('b')]
    for (let step = 1; step <= 40; step++)
      for (const [group, model] of models) await (group === 'a' ? a : b).write(model.next(below, life * 40 + step))
    await place.close()
  }
  const files = await filesOf(place.directory)
  assert.ok(files.length > 0, 'no file in the directory: say `damage: false` if the bytes are elsewhere')
  const found = new Set<string>()
  for (const { file, at } of places(files, most))
    found.add(
      await onCopy(place, async (copy) => {
        const what = `${file.name} harmed at ${at} of ${file.size}`
        await harm(join(copy.directory, file.name), file, at)
        const verdicts = []
        for (const [group, model] of models) verdicts.push(await verdict(copy, group, model, `group ${group}, ${what}`))
        return verdicts.includes('DAMAGED') ? 'DAMAGED' : verdicts.join()
      }),
    )
  return found
}

async function onCopy<T>(place: Place, work: (copy: Place) => Promise<T>): Promise<T> {
  const copy = new Place(place.subject, await mkdtemp(`${place.directory}-`))
  try {
    await cp(place.directory, copy.directory, { recursive: true })
    return await work(copy)
  } finally {
    await copy.close().catch(() => undefined)
    await rm(copy.directory, { recursive: true, force: true })
  }
}

/** `whole`, `DAMAGED`, or, where that is the loader's to find, `left to the loader`. Anything else fails. */
async function verdict(copy: Place, group: string, model: Model, what: string): Promise<string> {
  const lenient = copy.subject.damage === 'loader'
  try {
    const log = await copy.log(group)
    const { first, last } = log.found
    const state = text(log.found.state)
    const held = await contents(log, first, last)
    const expected = model.lines(first)
    const sound = state === model.state && last === model.last && first >= model.floor && first <= model.first
    if (sound && held.join() === expected.join()) return 'whole'
    assert.ok(lenient, `${what}: opened as ${first} to ${last}, state ${state}, instead of DAMAGED`)
    for (const [i, line] of held.entries())
      assert.ok(
        line === 'altered' || line === expected[i],
        `${what}: record ${first + i} is ${line}, not ${expected[i]}`,
      )
    return 'left to the loader'
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error
    assert.ok(isRaftkitError(error, 'DAMAGED'), `${what}: rejected with ${String(error)} instead of DAMAGED`)
    return 'DAMAGED'
  }
}

async function harmSnapshots(place: Place): Promise<void> {
  const bytes = new Map([
    ['one', bytesOf(140_000, 1)],
    ['two', bytesOf(3000, 2)],
  ])
  for (const [name, content] of bytes) await keep(await place.snapshots(), name, content)
  await place.close()
  const files = await filesOf(place.directory)
  for (const [what, harm] of harms)
    for (const { file, at } of places(files, placesPerHarm / 4))
      await onCopy(place, async (copy) => {
        await harm(join(copy.directory, file.name), file, at)
        for (const [name, content] of bytes) {
          const where = `snapshot ${name}, where ${what} at ${at} of ${file.name}`
          try {
            const reader = await (await copy.snapshots()).open(name)
            sameBytes(await readAll(reader), content, where)
            await reader.close()
          } catch (error) {
            if (error instanceof assert.AssertionError) throw error
            assert.ok(
              isRaftkitError(error, 'DAMAGED') || isRaftkitError(error, 'MISSING'),
              `${where}: ${String(error)}`,
            )
          }
        }
      })
}
