import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { isRaftkitError, type LogStore, type SnapshotWriter } from '@raftkit/contract'
import { sameBytes } from '../check.ts'
import type { Suite } from '../runner.ts'
import { bytesOf, keep, readAll } from '../snapshots/blobs.ts'
import { Place } from './place.ts'
import { append, contents } from './records.ts'
import type { SmallDisk, StorageSubject } from './subject.ts'

const diskBytes = 16 << 20
const recordBytes = 50_000
/** A write that has not settled for so long, on a disk without room, waits for room. */
const stuckMs = 400

/** A disk that is really full: what was resolved stays, reads go on, and a write waits or is rejected. */
export function fullPromises(suite: Suite, subject: StorageSubject): void {
  const goesOn = 'on a full disk a write waits for room or is rejected, reads go on, and nothing resolved is lost'
  const closes = 'a storage that waits for room closes'
  const snapshots = 'a snapshot for which there is no room goes on once there is'
  const why =
    subject.durable === false
      ? 'nothing is kept on a disk'
      : subject.damage === false && !subject.smallDisk
        ? 'the subject keeps no files in the directory'
        : subject.smallDisk || canMount()
          ? undefined
          : 'a small tmpfs cannot be mounted here (not root, or not Linux), and the subject has no `smallDisk`'
  if (why) {
    for (const name of [goesOn, closes, snapshots]) suite.skip(name, why)
    return
  }

  suite.test(goesOn, () =>
    onSmallDisk(subject, async (place, filler) => {
      const { log, resolved, stuck } = await fill(place, filler)
      assert.deepEqual(await contents(log, 1, resolved), versions(resolved), 'reads on a full disk')
      await rm(filler)
      const outcome = await stuck
      if (outcome === undefined) await log.write(append(resolved + 2, 1, resolved + 2, recordBytes))
      else {
        assert.ok(
          isRaftkitError(outcome, 'STORAGE_FAILED'),
          `no room is STORAGE_FAILED or waited for, not ${String(outcome)}`,
        )
        await assert.rejects(log.write(append(resolved + 2, 1)), 'a write after a rejected one must reject')
      }
      await place.again()
      const last = await foundAfter(place, resolved)
      if (outcome === undefined) assert.equal(last, resolved + 2)
    }),
  )

  suite.test(closes, () =>
    onSmallDisk(subject, async (place, filler) => {
      const { resolved, stuck } = await fill(place, filler)
      await place.again()
      const outcome = await stuck
      assert.ok(outcome === undefined || isRaftkitError(outcome), String(outcome))
      await rm(filler)
      await foundAfter(place, resolved)
    }),
  )

  suite.test(snapshots, () =>
    onSmallDisk(subject, async (place, filler) => {
      const bytes = bytesOf(2_000_000)
      await keep(await place.snapshots(), 'before', bytes.slice(0, 1000))
      await fillUp(filler, 512 << 10)
      const writer = await (await place.snapshots()).create('s')
      const outcome = await writeAll(writer, bytes).then(
        () => undefined,
        (error: unknown) => error,
      )
      assert.ok(isRaftkitError(outcome, 'STORAGE_FAILED'), `no room is STORAGE_FAILED, not ${String(outcome)}`)
      await writer.close()
      const before = await (await place.snapshots()).open('before')
      sameBytes(await readAll(before), bytes.slice(0, 1000), 'the snapshot of before')
      await before.close()
      await rm(filler)
      const next = await (await place.snapshots()).create('s')
      assert.ok(next.bytes <= bytes.length)
      await writeAll(next, bytes)
      await place.again()
      const reader = await (await place.snapshots()).open('s')
      sameBytes(await readAll(reader), bytes, 'the snapshot that went on')
      await reader.close()
    }),
  )
}

/** Writes what is missing, and commits. */
async function writeAll(writer: SnapshotWriter, bytes: Uint8Array): Promise<void> {
  while (writer.bytes < bytes.length) await writer.write(bytes.slice(writer.bytes, writer.bytes + 50_000))
  await writer.commit()
}

const versions = (last: number): string[] => Array.from({ length: last }, (_, i) => `${i + 1}.${i + 1}`)

/** Everything that had resolved is there, and nothing but what was written. Returns the last index. */
async function foundAfter(place: Place, resolved: number): Promise<number> {
  const log = await place.log()
  const { last } = log.found
  assert.ok(last >= resolved && last <= resolved + 2, `${resolved} writes had resolved, ${last} are found`)
  assert.deepEqual(await contents(log, 1, last), versions(last))
  return last
}

interface Filled {
  readonly log: LogStore
  readonly resolved: number
  /** What the write that did not resolve rejects with in the end, or undefined. */
  readonly stuck: Promise<unknown>
}

/** Leaves a little room, then writes until a write does not resolve. */
async function fill(place: Place, filler: string): Promise<Filled> {
  const log = await place.log()
  await log.write(append(1, 1, 1, recordBytes))
  await fillUp(filler, 1 << 20)
  for (let index = 2; index < 200; index++) {
    const write = log.write(append(index, 1, index, recordBytes)).then(
      () => undefined,
      (error: unknown) => error ?? new Error('rejected with nothing'),
    )
    const outcome = await Promise.race([write, wait(stuckMs, 'stuck')])
    if (outcome !== undefined) return { log, resolved: index - 1, stuck: write }
    // What an adapter gives back meanwhile is taken, too.
    if (index % 10 === 0) await fillUp(filler, 128 << 10)
  }
  throw new Error('the disk did not become full')
}

/** Makes a file of all the room there is, but for `spare` bytes. */
async function fillUp(filler: string, spare: number): Promise<void> {
  const file = await open(filler, 'a')
  try {
    const block = Buffer.alloc(65_536, 0xa5)
    for (;;) await file.write(block)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    const { size } = await file.stat()
    await file.truncate(Math.max(0, size - spare))
  } finally {
    await file.close()
  }
}

async function onSmallDisk(
  subject: StorageSubject,
  body: (place: Place, filler: string) => Promise<void>,
): Promise<void> {
  const disk = await (subject.smallDisk ?? mountSmall)()
  try {
    const place = new Place(subject, await mkdtemp(join(disk.directory, 'store-')))
    const filler = join(disk.directory, 'filler')
    try {
      await body(place, filler)
      await place.close()
    } finally {
      await rm(filler, { force: true })
      await place.close().catch(() => undefined)
    }
  } finally {
    await disk.remove()
  }
}

async function mountSmall(): Promise<SmallDisk> {
  const directory = mkdtempSync(join(tmpdir(), 'raftkit-small-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskBytes}`, 'tmpfs', directory], { stdio: 'ignore' })
  return {
    directory,
    remove: async () => {
      execFileSync('umount', ['-l', directory], { stdio: 'ignore' })
      rmSync(directory, { recursive: true })
    },
  }
}

let mountable: boolean | undefined

function canMount(): boolean {
  if (mountable === undefined) {
    const directory = mkdtempSync(join(tmpdir(), 'raftkit-small-'))
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory], { stdio: 'ignore' })
      execFileSync('umount', ['-l', directory], { stdio: 'ignore' })
      mountable = true
    } catch {
      mountable = false
    }
    rmSync(directory, { recursive: true, force: true })
  }
  return mountable
}
