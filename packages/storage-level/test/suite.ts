import type { Index, LogStore, LogWrite, Run, SnapshotReader, Storage } from '@raftkit/contract'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Model, random } from './model.ts'
import { append, record, run } from './records.ts'

// The promises of packages/contract/src/storage.ts, as sentences that any adapter must make true.
// A function over a factory, so that a compliance kit can lift it.

/** One place where content survives, and the way to open it anew. */
export interface Place {
  open(): Storage
  remove(): Promise<void>
}

export function records({ count, bytes }: Run): Uint8Array[] {
  const found: Uint8Array[] = []
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at < bytes.length; at += view.getUint32(at, true))
    found.push(bytes.subarray(at, at + view.getUint32(at, true)))
  expect(found.length).toBe(count)
  return found
}

/** Index and version of every record of a range, read in parts of about `maxBytes`. */
export async function contents(log: LogStore, first: Index, last: Index, maxBytes = 4096): Promise<string[]> {
  const found: string[] = []
  for (let from = first; from <= last; ) {
    const part = records(await log.read(from, last, maxBytes))
    expect(part.length).toBeGreaterThan(0)
    for (const bytes of part) {
      const view = new DataView(bytes.buffer, bytes.byteOffset)
      expect(view.getFloat64(4, true)).toBe(from++)
      found.push(`${view.getFloat64(4, true)}.${view.getUint32(12, true)}`)
    }
  }
  return found
}

const text = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString()
const blob = (content: string): Uint8Array => new TextEncoder().encode(content)

async function readAll(reader: SnapshotReader): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for (let at = 0; ; at += parts.at(-1)!.length) {
    const part = await reader.read(at, 1000)
    if (part.length === 0) return Buffer.concat(parts)
    parts.push(part)
  }
}

export function storagePromises(name: string, place: () => Promise<Place>): void {
  describe(name, () => {
    let at: Place
    let storage: Storage
    beforeEach(async () => {
      at = await place()
      storage = at.open()
    })
    afterEach(async () => {
      await storage.close()
      await at.remove()
    })

    /** Closes, and opens again, as after a clean end. */
    async function again(): Promise<void> {
      await storage.close()
      storage = at.open()
    }

    describe('a log', () => {
      it('that was never written is empty: first 1, last 0, no state', async () => {
        const log = await storage.log('main')
        expect(log.found).toEqual({ first: 1, last: 0 })
        await log.close()
        expect(await storage.groups()).toEqual([])
      })

      it('is found as the resolved writes left it, and `found` is never updated', async () => {
        const log = await storage.log('main')
        await log.write({ ...append(1, 3), state: blob('one') })
        await log.write(append(4, 2))
        expect(log.found).toEqual({ first: 1, last: 0 })
        await again()
        const { found } = await storage.log('main')
        expect([found.first, found.last, text(found.state)]).toEqual([1, 5, 'one'])
      })

      it('keeps an empty state blob apart from none', async () => {
        const log = await storage.log('main')
        await log.write({ state: new Uint8Array(0) })
        await again()
        expect((await storage.log('main')).found.state?.length).toBe(0)
      })

      it('is cut by a run that begins inside it, and by an empty one', async () => {
        const log = await storage.log('main')
        await log.write(append(1, 10, 1))
        await log.write(append(6, 2, 2))
        expect(await contents(log, 1, 7)).toEqual(['1.1', '2.1', '3.1', '4.1', '5.1', '6.2', '7.2'])
        await log.write(append(4, 0))
        await expect(log.read(4, 4, 100)).rejects.toMatchObject({ code: 'MISSING' })
        await log.write(append(4, 1, 3))
        await again()
        const next = await storage.log('main')
        expect([next.found.first, next.found.last]).toEqual([1, 4])
        expect(await contents(next, 1, 4)).toEqual(['1.1', '2.1', '3.1', '4.3'])
      })

      it('begins anew anywhere with reset, with nothing before it', async () => {
        const log = await storage.log('main')
        await log.write(append(1, 10, 1))
        await log.write({ tail: { at: 100, run: run(100, 2, 2), reset: true }, state: blob('s') })
        await expect(log.read(99, 100, 100)).rejects.toMatchObject({ code: 'COMPACTED' })
        await expect(log.read(5, 5, 100)).rejects.toMatchObject({ code: 'COMPACTED' })
        expect(await contents(log, 100, 101)).toEqual(['100.2', '101.2'])
        await log.write({ tail: { at: 50, run: { count: 0, bytes: new Uint8Array(0) }, reset: true } })
        await again()
        const next = await storage.log('main')
        expect([next.found.first, next.found.last, text(next.found.state)]).toEqual([50, 49, 's'])
        await next.write(append(50, 1, 3))
        expect(await contents(next, 50, 50)).toEqual(['50.3'])
      })

      it('may lose what it was told to compact, and nothing else', async () => {
        const log = await storage.log('main')
        await log.write(append(1, 100, 1))
        await log.write({ compactTo: 60 })
        await log.write({ compactTo: 20 })
        await log.write(append(101, 1, 2))
        await again()
        const next = await storage.log('main')
        expect(next.found.first).toBeLessThanOrEqual(61)
        expect(next.found.last).toBe(101)
        expect((await contents(next, 61, 101)).length).toBe(41)
        await next.write({ compactTo: 101 })
        await next.write(append(102, 1, 3))
        expect(await contents(next, 102, 102)).toEqual(['102.3'])
      })

      it('compacted as a whole is empty, and goes on where it was', async () => {
        const log = await storage.log('main')
        await log.write(append(1, 5))
        await log.write({ compactTo: 5 })
        await again()
        const next = await storage.log('main')
        expect(next.found.last).toBe(5)
        await next.write(append(6, 1, 2))
        await again()
        const third = await storage.log('main')
        expect(third.found.last).toBe(6)
        expect(await contents(third, 6, 6)).toEqual(['6.2'])
      })

      it('takes a write as one step: state, run and compaction together', async () => {
        const log = await storage.log('main')
        await log.write(append(1, 4, 1))
        await log.write({ ...append(3, 4, 2), compactTo: 2, state: blob('two') })
        await again()
        const { found } = await storage.log('main')
        expect([found.last, text(found.state)]).toEqual([6, 'two'])
        expect(found.first).toBeLessThanOrEqual(3)
      })

      it('never calls back before the call that issued the write has returned', async () => {
        const log = await storage.log('main')
        let returned = false
        const done = log.write(append(1, 1)).then(() => expect(returned).toBe(true))
        returned = true
        await done
      })

      it('B6, B7: resolves writes in the order of the calls', async () => {
        const log = await storage.log('main')
        const order: number[] = []
        const writes: Promise<unknown>[] = []
        for (let i = 0; i < 50; i++) {
          writes.push(log.write(append(i + 1, 1, i, i % 7 === 0 ? 100_000 : 20)).then(() => order.push(i)))
          if (i % 10 === 9) await writes[i - 5]
        }
        await Promise.all(writes)
        expect(order).toEqual([...Array(50).keys()])
      })

      it('B8: after an unawaited write was cut by a later one, holds the later one', async () => {
        const log = await storage.log('main')
        const writes = [log.write(append(1, 3, 1)), log.write(append(2, 3, 2)), log.write(append(2, 1, 3))]
        expect(await contents(log, 1, 2)).toEqual(['1.1', '2.3'])
        await Promise.all(writes)
        expect(await contents(log, 1, 2)).toEqual(['1.1', '2.3'])
        await again()
        const next = await storage.log('main')
        expect(next.found.last).toBe(2)
        expect(await contents(next, 1, 2)).toEqual(['1.1', '2.3'])
      })

      it('B8: one that was cut while it was being flushed does not take the place of the later one', async () => {
        const log = await storage.log('main')
        for (let round = 1; round <= 20; round++) {
          const early = log.write(append(1, 1, 2 * round))
          for (let i = 0; i < 5; i++) await null
          const late = log.write(append(1, 1, 2 * round + 1))
          expect(await contents(log, 1, 1)).toEqual([`1.${2 * round + 1}`])
          await early
          expect(await contents(log, 1, 1)).toEqual([`1.${2 * round + 1}`])
          await late
        }
      })

      it('reads see every write that was issued before', async () => {
        const log = await storage.log('main')
        await log.write(append(1, 5, 1))
        const writes: Promise<void>[] = []
        for (let i = 0; i < 20; i++) {
          writes.push(log.write(append(6 + i, 1, i)))
          expect(await contents(log, 1, 6 + i)).toHaveLength(6 + i)
        }
        await Promise.all(writes)
      })

      it('reads answer with a prefix of about maxBytes, and never with none', async () => {
        const log = await storage.log('main')
        await log.write(append(1, 1000, 1, 100))
        const part = await log.read(1, 1000, 5000)
        expect(part.count).toBeGreaterThanOrEqual(1)
        expect(part.bytes.length).toBeLessThanOrEqual(10_000)
        expect((await log.read(500, 1000, 1)).count).toBe(1)
        expect((await log.read(7, 7, 1_000_000)).count).toBe(1)
        expect((await log.read(990, 1000, 1_000_000)).count).toBeLessThanOrEqual(11)
        await log.write(append(1001, 1, 1, 300_000))
        expect((await log.read(1001, 1001, 10)).bytes.length).toBe(300_000)
        expect(await contents(log, 1, 1000, 777)).toHaveLength(1000)
      })

      it('keeps runs of many sizes in one write, and reads from any record of them', async () => {
        const log = await storage.log('main')
        const parts = Array.from({ length: 300 }, (_, i) => record(i + 1, 9, 20 + ((i * 7919) % 3000)))
        await log.write({ tail: { at: 1, run: { count: 300, bytes: Buffer.concat(parts) } } })
        await again()
        const next = await storage.log('main')
        for (const from of [1, 2, 77, 150, 299, 300]) {
          const [one] = records(await next.read(from, 300, 1))
          expect(Buffer.compare(one!, parts[from - 1]!)).toBe(0)
        }
        expect(await contents(next, 1, 300)).toHaveLength(300)
      })

      it('does not change bytes that it handed out, or depend on those it was given', async () => {
        const log = await storage.log('main')
        const given = run(1, 3, 1)
        await log.write({ tail: { at: 1, run: given } })
        const held = await log.read(1, 3, 1000)
        const copy = held.bytes.slice()
        await log.write(append(1, 3, 2))
        expect(Buffer.compare(held.bytes, copy)).toBe(0)
        expect(await contents(log, 1, 3)).toEqual(['1.2', '2.2', '3.2'])
      })

      it('counts to 2^53-1', async () => {
        const log = await storage.log('main')
        const at = Number.MAX_SAFE_INTEGER - 2
        await log.write({ tail: { at, run: run(at, 2, 5), reset: true } })
        await again()
        const next = await storage.log('main')
        expect([next.found.first, next.found.last]).toEqual([at, at + 1])
        expect(await contents(next, at, at + 1)).toEqual([`${at}.5`, `${at + 1}.5`])
      })

      it('has one owner', async () => {
        const log = await storage.log('main')
        await expect(storage.log('main')).rejects.toMatchObject({ code: 'LOCKED' })
        await expect(storage.destroy('main')).rejects.toMatchObject({ code: 'LOCKED' })
        await (await storage.log('other')).close()
        await log.close()
        await (await storage.log('main')).close()
      })

      it('closes after what is pending has settled; then rejects', async () => {
        const log = await storage.log('main')
        let settled = 0
        for (let i = 1; i <= 20; i++) void log.write(append(i, 1)).then(() => settled++)
        await Promise.all([log.close(), log.close()])
        expect(settled).toBe(20)
        await expect(log.write(append(21, 1))).rejects.toMatchObject({ code: 'CLOSED' })
        await expect(log.read(1, 1, 1)).rejects.toMatchObject({ code: 'CLOSED' })
        await log.close()
        expect((await storage.log('main')).found.last).toBe(20)
      })

      it.each<[string, LogWrite]>([
        ['a gap', append(5, 1)],
        ['a place before the first', append(2, 1)],
        ['a place that is no index', { tail: { at: 3.5, run: run(3, 1) } }],
        ['a count that is not the run’s', { tail: { at: 4, run: { ...run(4, 2), count: 3 } } }],
        ['half a record', { tail: { at: 4, run: { count: 1, bytes: record(4).subarray(0, 20) } } }],
        ['a compaction beyond the end', { compactTo: 4 }],
      ])('refuses %s, changes nothing, and refuses what was built on it', async (_, change) => {
        const log = await storage.log('main')
        await log.write({ tail: { at: 3, run: run(3, 1, 1), reset: true }, state: blob('before') })
        await expect(log.write({ ...change, state: blob('bad') })).rejects.toMatchObject({ code: 'INVALID_OPTION' })
        await expect(log.write(append(4, 1, 2))).rejects.toMatchObject({ code: 'INVALID_OPTION' })
        await log.close()
        const { found } = await storage.log('main')
        expect([found.first, found.last, text(found.state)]).toEqual([3, 3, 'before'])
      })

      it('refuses a read that makes no sense', async () => {
        const log = await storage.log('main')
        await log.write(append(1, 3))
        for (const [from, to, maxBytes] of [
          [2, 1, 10],
          [1.5, 2, 10],
          [1, 3, 0],
          [1, 3, Number.NaN],
        ] as const)
          await expect(log.read(from, to, maxBytes)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
        await expect(log.read(0, 1, 10)).rejects.toMatchObject({ code: 'COMPACTED' })
        await expect(log.read(3, 4, 10)).rejects.toMatchObject({ code: 'MISSING' })
      })

      it.each([1, 2, 3, 4, 5, 6])('equals its model after many random writes and restarts (seed %i)', async (seed) => {
        const below = random(seed)
        const model = new Model()
        let log = await storage.log('main')
        let writes: Promise<void>[] = []
        for (let step = 1; step <= 300; step++) {
          writes.push(log.write(model.next(below, step)))
          if (below(3) === 0) await writes.at(-1)
          if (below(10) === 0 && model.records.length > 0) {
            const from = model.first + below(model.records.length)
            expect(await contents(log, from, model.last)).toEqual(model.lines(from))
          }
          if (below(40) === 0) {
            if (below(2) === 0) await log.close()
            else await again()
            await Promise.all(writes)
            writes = []
            log = await storage.log('main')
            expect(log.found.last).toBe(model.last)
            expect(log.found.first).toBeLessThanOrEqual(model.first)
            expect(text(log.found.state)).toBe(model.state)
          }
        }
        await Promise.all(writes)
        expect(await contents(log, model.first, model.last)).toEqual(model.lines())
      })
    })

    describe('groups', () => {
      it('are apart from each other, whatever their names', async () => {
        const names = ['a', 'A', 'ab', 'a.b', 'a-b', 'con', 'x'.repeat(64)]
        for (const [i, group] of names.entries()) {
          const log = await storage.log(group)
          await log.write({ ...append(1, i + 1, i), state: blob(group) })
        }
        await again()
        expect([...(await storage.groups())].sort()).toEqual([...names].sort())
        for (const [i, group] of names.entries()) {
          const log = await storage.log(group)
          expect([log.found.last, text(log.found.state)]).toEqual([i + 1, group])
          expect(await contents(log, 1, i + 1)).toHaveLength(i + 1)
        }
      })

      it('are listed for a snapshot alone', async () => {
        const store = await storage.snapshots('Snapped')
        const writer = await store.create('s')
        await writer.write(blob('x'))
        await writer.commit()
        await again()
        expect(await storage.groups()).toEqual(['Snapped'])
      })

      it('are gone once destroyed, logs and snapshots, and can begin anew', async () => {
        for (const group of ['gone', 'kept']) {
          const log = await storage.log(group)
          await log.write({ ...append(1, 10, 1), state: blob('s') })
          const writer = await (await storage.snapshots(group)).create('s')
          await writer.commit()
          await log.close()
        }
        await storage.destroy('gone')
        await storage
          .destroy('never was')
          .then(() => expect.unreachable())
          .catch((error) => expect(error).toMatchObject({ code: 'INVALID_OPTION' }))
        await storage.destroy('never-was')
        expect(await storage.groups()).toEqual(['kept'])
        const anew = await storage.log('gone')
        expect(anew.found).toEqual({ first: 1, last: 0 })
        await anew.write(append(1, 2, 2))
        await again()
        const found = await storage.log('gone')
        expect(found.found).toEqual({ first: 1, last: 2 })
        expect(await contents(found, 1, 2)).toEqual(['1.2', '2.2'])
        await expect((await storage.snapshots('gone')).open('s')).rejects.toMatchObject({ code: 'MISSING' })
        expect((await storage.log('kept')).found.last).toBe(10)
      })

      it('refuse names that are none', async () => {
        for (const group of ['', '../x', 'a/b', '.a', 'ä', 'x'.repeat(65), 7 as never])
          for (const call of [() => storage.log(group), () => storage.snapshots(group), () => storage.destroy(group)])
            await expect(call()).rejects.toMatchObject({ code: 'INVALID_OPTION' })
      })
    })

    describe('snapshots', () => {
      it('are found once committed, with exactly their bytes', async () => {
        const store = await storage.snapshots('main')
        await expect(store.open('s')).rejects.toMatchObject({ code: 'MISSING' })
        const bytes = new Uint8Array(150_000).map((_, i) => (i * i) >>> 3)
        const writer = await store.create('s')
        await expect(store.create('s')).rejects.toMatchObject({ code: 'LOCKED' })
        for (let from = 0; from < bytes.length; from += 9999) {
          await writer.write(bytes.subarray(from, from + 9999))
          expect(writer.bytes).toBe(Math.min(from + 9999, bytes.length))
        }
        await expect(store.open('s')).rejects.toMatchObject({ code: 'MISSING' })
        await writer.commit()
        await expect(store.create('s')).rejects.toMatchObject({ code: 'REFUSED' })
        await again()
        const reader = await (await storage.snapshots('main')).open('s')
        expect(reader.bytes).toBe(bytes.length)
        expect(Buffer.compare(await readAll(reader), bytes)).toBe(0)
        expect((await reader.read(bytes.length, 10)).length).toBe(0)
        await reader.close()
      })

      it('go on where an unfinished one stopped', async () => {
        const writer = await (await storage.snapshots('main')).create('s')
        await writer.write(blob('hello, '))
        await writer.close()
        const next = await (await storage.snapshots('main')).create('s')
        expect(next.bytes).toBe(7)
        await next.write(blob('world'))
        await next.commit()
        const reader = await (await storage.snapshots('main')).open('s')
        expect(text(await readAll(reader))).toBe('hello, world')
        await reader.close()
      })

      it('are removed unless retained; one that is open stays with its reader', async () => {
        const store = await storage.snapshots('main')
        for (const name of ['a', 'b', 'c']) {
          const writer = await store.create(name)
          await writer.write(blob(name))
          await writer.commit()
        }
        await (await store.create('unfinished')).close()
        const pinned = await store.open('b')
        await store.retain(['c'])
        expect(text(await readAll(pinned))).toBe('b')
        await pinned.close()
        for (const name of ['a', 'b']) await expect(store.open(name)).rejects.toMatchObject({ code: 'MISSING' })
        expect((await store.create('unfinished')).bytes).toBe(0)
        const kept = await store.open('c')
        expect(text(await readAll(kept))).toBe('c')
        await kept.close()
      })
    })

    describe('close', () => {
      it('is idempotent, waits for what is pending, and ends what was opened', async () => {
        const log = await storage.log('main')
        const snapshots = await storage.snapshots('main')
        const writer = await snapshots.create('s')
        await writer.write(blob('x'))
        await writer.commit()
        const reader = await snapshots.open('s')
        let settled = 0
        for (let i = 1; i <= 10; i++) void log.write(append(i, 1)).then(() => settled++)
        await Promise.all([storage.close(), storage.close()])
        expect(settled).toBe(10)
        const closed = { code: 'CLOSED' }
        await expect(log.write(append(11, 1))).rejects.toMatchObject(closed)
        await expect(log.read(1, 1, 1)).rejects.toMatchObject(closed)
        await expect(snapshots.open('s')).rejects.toMatchObject(closed)
        await expect(snapshots.create('t')).rejects.toMatchObject(closed)
        await expect(snapshots.retain([])).rejects.toMatchObject(closed)
        await expect(reader.read(0, 1)).rejects.toMatchObject(closed)
        await log.close()
        await reader.close()
      })
    })
  })
}
