import type { LogStore, Storage } from '@raftkit/contract'
import { walStorage } from '@raftkit/storage-wal'
import { append, contents } from '@raftkit/testing/records'
import { describe, expect, it, vi } from 'vitest'
import { History, live, random } from './history.ts'
import { diced, everything, nothing, VirtualDisk } from './virtual-disk.ts'

// Every operation on the disk may be the last one: the process ends there, or the power fails. Whatever is left is opened, checked, and goes on.

vi.setConfig({ testTimeout: 120_000 })
const directory = '/n1'
const segmentBytes = 65_536

interface Moment {
  readonly disk: VirtualDisk
  readonly histories: readonly History[]
}

/** One life on the disk, and what a crash after each operation would meet. */
async function lived(
  disk: VirtualDisk,
  histories: readonly History[],
  seed: number,
  writes: number,
  size: number,
): Promise<Moment[]> {
  const below = random(seed)
  const moments: Moment[] = []
  disk.changed = () => moments.push({ disk: disk.clone(), histories: histories.map((history) => history.copy()) })
  const storage = walStorage(directory, { disk, segmentBytes })
  await live(storage, histories, below, writes, () => 24 + below(2 * size))
  await storage.close()
  disk.changed = () => {}
  return moments
}

async function checked(disk: VirtualDisk, histories: readonly History[], what: string): Promise<number[]> {
  const storage = walStorage(directory, { disk, segmentBytes })
  const found: number[] = []
  for (const history of histories) found.push(await history.check(storage, what))
  await storage.close()
  return found
}

describe('a crash after every operation on the disk', () => {
  it.each([
    { seed: 1, writes: 60, size: 300 },
    { seed: 2, writes: 150, size: 4000 },
    { seed: 3, writes: 150, size: 4000 },
    { seed: 4, writes: 60, size: 20_000 },
  ])(
    'leaves a prefix of the writes, with every resolved one (seed $seed, records about $size bytes)',
    async ({ seed, writes, size }) => {
      const histories = ['a', 'b', 'idle'].map((group) => new History(group))
      const moments = await lived(new VirtualDisk(), histories, seed, writes, size)
      expect(moments.length).toBeGreaterThan(writes / 2)
      const below = random(seed * 7919)
      for (const [i, { disk, histories: then }] of moments.entries()) {
        const at = `operation ${i + 1} of ${moments.length}`
        await checked(disk.clone(), then, `the process ends after ${at}`)
        await checked(disk.clone().cut(nothing), then, `power cut, nothing unsynced is left, after ${at}`)
        await checked(disk.clone().cut(everything), then, `power cut, all is left, after ${at}`)
        for (let dice = 0; dice < 4; dice++)
          await checked(disk.clone().cut(diced(below)), then, `power cut ${dice}, after ${at}`)
      }
    },
  )

  it('and another one in the life that follows', async () => {
    const below = random(99)
    // 11: a segment removed before the frame was durable that lets it go; 13: two names of one file after half a rename; 103: a mark whose
    // name a killed process had not synced.
    for (const seed of [10, 11, 13, 103]) {
      const first = await lived(
        new VirtualDisk(),
        ['a', 'b'].map((group) => new History(group)),
        seed,
        40,
        6000,
      )
      for (let n = 0; n < 12; n++) {
        const { disk, histories } = first[below(first.length)]!
        const left = below(3) === 0 ? disk.clone() : disk.clone().cut(diced(below))
        // The check itself opens the disk: what it does there is part of this life.
        const found = await checked(left.clone(), histories, `seed ${seed}, first crash`)
        const next = histories.map((history, i) => history.from(found[i]!))
        const second = await lived(left, next, seed * 100 + n, 12, 6000)
        for (const [i, moment] of second.entries()) {
          const what = `seed ${seed}, crash ${n}, then operation ${i + 1} of ${second.length}`
          await checked(moment.disk.clone(), moment.histories, `${what}, the process ends`)
          await checked(moment.disk.clone().cut(diced(below)), moment.histories, `${what}, power cut`)
        }
      }
    }
  })
})

describe('a restart', () => {
  it('right after a cut goes on where the cut ended, and what was cut stays away', async () => {
    const disk = new VirtualDisk()
    const reopened = async (): Promise<{ storage: Storage; log: LogStore }> => {
      const storage = walStorage(directory, { disk, segmentBytes })
      return { storage, log: await storage.log('a') }
    }
    let { storage, log } = await reopened()
    await log.write(append(1, 3, 1))
    await log.write(append(4, 3, 1))
    await log.write(append(7, 3, 1))
    await log.write(append(4, 0))
    await storage.close()
    ;({ storage, log } = await reopened())
    expect(log.found).toMatchObject({ first: 1, last: 3 })
    await log.write(append(4, 1, 2))
    await log.write(append(5, 4, 3))
    expect(await contents(log, 1, 8)).toEqual(['1.1', '2.1', '3.1', '4.2', '5.3', '6.3', '7.3', '8.3'])
    await storage.close()
    ;({ storage, log } = await reopened())
    expect(await contents(log, 1, 8)).toEqual(['1.1', '2.1', '3.1', '4.2', '5.3', '6.3', '7.3', '8.3'])
    await storage.close()
  })
})
