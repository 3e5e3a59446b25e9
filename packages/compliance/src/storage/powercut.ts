import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LogWrite } from '@raftkit/contract'
import { isRaftkitError } from '@raftkit/contract'
import { random, sameBytes } from '../check.ts'
import type { Suite } from '../runner.ts'
import { bytesOf, readAll } from '../snapshots/blobs.ts'
import { type Step, steps } from './calls.ts'
import type { Script } from './child.ts'
import { RecordedDisk } from './disk.ts'
import { Model } from './model.ts'
import { inPlace, Place } from './place.ts'
import { append, blob, contents, text } from './records.ts'
import type { StorageSubject } from './subject.ts'
import { saidIn } from './trace.ts'
import { runTraced, untraceable } from './traced.ts'

const cuts = 60
const cutsAtEnd = 5
const lives = 2
const groups = ['a', 'b']
const writesPerLife = 40

const names = {
  log: 'a power cut at any moment leaves a prefix of the writes, with every resolved one, and a log that goes on',
  destroyed: 'a power cut at any moment leaves a group or takes it, and a destroyed one stays gone',
  snapshot:
    'a power cut at any moment leaves a committed snapshot whole, and an unfinished one with an intact beginning',
}

/**
 * The system calls of a real process, replayed on a disk that forgets what was not flushed: here and there all of it, some of it, torn. Whatever is
 * left is opened.
 */
export function powerCutPromises(suite: Suite, subject: StorageSubject): void {
  const { program, seed = 1 } = subject
  const why =
    untraceable(subject) ?? (subject.damage === false ? 'the subject keeps no files in the directory' : undefined)
  if (program === undefined || why !== undefined) {
    for (const name of Object.values(names)) suite.skip(name, why ?? '')
    return
  }

  suite.test(names.log, async () => {
    const below = random(seed * 77)
    // Each group after each number of writes.
    const histories = groups.map(() => {
      const states = [new Model()]
      const changes: LogWrite[] = []
      for (let i = 1; i <= lives * writesPerLife; i++) {
        const next = states.at(-1)!.copy()
        changes.push(next.next(below, i))
        states.push(next)
      }
      return { states, changes }
    })
    const scripts = Array.from({ length: lives }, (_, life): Script => {
      const from = life * writesPerLife
      const writes = groups.map((group, g) => ({
        group,
        changes: histories[g]!.changes.slice(from, from + writesPerLife),
      }))
      return { writes, ahead: 3 }
    })
    const resolved = groups.map(() => 0)
    await withCuts(subject, program, scripts, {
      said: (line) => {
        const [, g] = /^done (\d+)/.exec(line) ?? []
        if (g !== undefined) resolved[Number(g)]!++
      },
      check: async (place, when) => {
        const counts = groups.map((group, g) => ({ group, least: resolved[g]!, states: histories[g]!.states }))
        for (const { group, least, states } of counts) {
          const log = await place.log(group)
          const { first, last } = log.found
          const held = (await contents(log, first, last)).join()
          const state = text(log.found.state)
          const fits = states.map(
            (model) =>
              model.last === last &&
              model.state === state &&
              model.floor <= first &&
              first <= model.first &&
              model.lines(first).join() === held,
          )
          const found = fits.lastIndexOf(true)
          const what = `${when}, group ${group}: ${first} to ${last}, state ${state}`
          assert.ok(found >= 0, `${what} is no prefix of the writes`)
          assert.ok(found >= least, `${what} holds ${found} writes of ${least} that had resolved`)
          // It goes on, and nothing comes back that the cut had taken.
          await log.write(append(last + 1, 1, 999_999))
          await log.close()
          const again = await place.log(group)
          assert.equal(again.found.last, last + 1, what)
          assert.deepEqual(await contents(again, last + 1, last + 1), [`${last + 1}.999999`], what)
        }
      },
    })
  })

  suite.test(names.destroyed, async () => {
    const changes = Array.from({ length: 6 }, (_, i): LogWrite => ({ ...append(i + 1, 1, i), state: blob(`${i + 1}`) }))
    const writes = ['main', 'kept'].map((group) => ({ group, changes }))
    const bytes = bytesOf(5000)
    let kept = 0
    let destroyed = false
    await withCuts(subject, program, [{ writes, snapshot: { name: 's', chunks: [bytes] }, destroy: 'main' }], {
      said: (line) => {
        if (line.startsWith('done 1')) kept++
        destroyed ||= line === 'destroyed'
      },
      check: async (place, when) => {
        const other = await place.log('kept')
        assert.ok(
          other.found.last >= kept,
          `${when}: the group that was kept holds ${other.found.last} of ${kept} records`,
        )
        if (destroyed) assert.deepEqual(await (await place.storage()).groups(), ['kept'], when)
        const { found } = await place.log('main')
        // As a prefix of its writes, the state always names the last record.
        assert.equal(text(found.state) ?? '0', `${found.last}`, when)
        await (await place.snapshots('main')).open('s').then(
          async (reader) => {
            assert.ok(!destroyed, `${when}: a destroyed snapshot is back`)
            sameBytes(await readAll(reader), bytes, when)
            await reader.close()
          },
          (error: unknown) => assert.ok(isRaftkitError(error, 'MISSING'), `${when}: ${String(error)}`),
        )
      },
    })
  })

  suite.test(names.snapshot, async () => {
    const whole = bytesOf(200_000, seed)
    const chunks = Array.from({ length: 10 }, (_, i) => whole.slice(i * 20_000, (i + 1) * 20_000))
    let committed = 0
    const scripts = Array.from({ length: lives }, (_, life): Script => ({ snapshot: { name: `s${life}`, chunks } }))
    await withCuts(subject, program, scripts, {
      said: (line) => {
        if (line === 'committed') committed++
      },
      check: async (place, when) => {
        const store = await place.snapshots()
        for (let life = 0; life < lives; life++) {
          const name = `s${life}`
          const reader = await store.open(name).catch((error: unknown) => {
            assert.ok(
              isRaftkitError(error, 'MISSING') && life >= committed,
              `${when}, snapshot ${name}: ${String(error)}`,
            )
          })
          if (!reader) {
            const writer = await store.create(name)
            assert.ok(writer.bytes <= whole.length)
            await writer.write(whole.slice(writer.bytes))
            await writer.commit()
          }
          const complete = reader ?? (await store.open(name))
          sameBytes(await readAll(complete), whole, `${when}, snapshot ${name}`)
          await complete.close()
        }
      },
    })
  })
}

interface Cutting {
  readonly said: (line: string) => void
  /** The place holds what the power cut left. */
  readonly check: (place: Place, when: string) => Promise<void>
}

async function withCuts(
  subject: StorageSubject,
  program: string | URL,
  scripts: readonly Script[],
  { said, check }: Cutting,
): Promise<void> {
  const { seed = 1 } = subject
  await inPlace(subject, async (place) => {
    const directory = await realpath(place.directory)
    const traces: string[] = []
    for (const script of scripts) traces.push((await runTraced(program, directory, script)).trace)
    const concerns = ({ type, call }: Step): boolean =>
      type === 'end' &&
      [call.fd?.path ?? '', call.result?.path ?? '', ...call.paths].some((path) => path.startsWith(directory))
    const total = traces.reduce((sum, trace) => sum + [...steps(trace)].filter(concerns).length, 0)
    assert.ok(total > 0, 'strace saw nothing in the directory')

    const below = random(seed * 1009)
    const disk = new RecordedDisk(directory)
    let number = 0
    for (const trace of traces) {
      await disk.replay(trace, async (step) => {
        const line = saidIn(step)
        if (line !== undefined) said(line)
        if (!concerns(step)) return
        number++
        const when = `power cut after call ${number} of ${total} (${step.call.name}), seed ${seed}`
        if (below(total) < cuts) await cut(disk, subject, when, below, check)
      })
      // The end of a process flushes nothing.
      for (let i = 0; i < cutsAtEnd; i++) await cut(disk, subject, `power cut at the end, seed ${seed}`, below, check)
    }
  })
}

async function cut(
  disk: RecordedDisk,
  subject: StorageSubject,
  when: string,
  below: (n: number) => number,
  check: Cutting['check'],
): Promise<void> {
  const parent = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
  const left = new Place(subject, await mkdtemp(join(parent, 'raftkit-powercut-')))
  try {
    await disk.cut(left.directory, below)
    await check(left, when).catch((error: unknown) => {
      if (error instanceof assert.AssertionError) throw error
      throw new assert.AssertionError({ message: `${when}: ${String(error)}`, actual: error })
    })
    await left.close()
  } finally {
    await left.close().catch(() => undefined)
    await rm(left.directory, { recursive: true, force: true })
  }
}
