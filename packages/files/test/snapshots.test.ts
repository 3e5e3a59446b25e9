import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SnapshotReader, SnapshotStore } from '@raftkit/contract'
import { fileSnapshots } from '@raftkit/files'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'raftkit-files-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

/** Bytes that differ everywhere, so that a block in the wrong place shows. */
function content(length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  let x = 12345
  for (let i = 0; i < length; i++) {
    x = (Math.imul(x, 1103515245) + 12345) >>> 0
    bytes[i] = x >>> 24
  }
  return bytes
}

async function keep(store: SnapshotStore, name: string, bytes: Uint8Array, chunk = 10_000): Promise<void> {
  const writer = await store.create(name)
  for (let at = 0; at < bytes.length; at += chunk) await writer.write(bytes.subarray(at, at + chunk))
  await writer.commit()
}

async function readAll(reader: SnapshotReader, maxBytes = 50_000): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for (let at = 0; ; ) {
    const part = await reader.read(at, maxBytes)
    if (part.length === 0) break
    parts.push(part)
    at += part.length
  }
  return Buffer.concat(parts)
}

const sizes = [0, 1, 65_535, 65_536, 65_537, 131_072, 200_001]

describe('a snapshot file', () => {
  it.each(sizes)('gives back %i bytes, from every kind of offset', async (size) => {
    const store = await fileSnapshots(directory)
    const bytes = content(size)
    await keep(store, 'a', bytes)
    const reader = await store.open('a')
    expect(reader.bytes).toBe(size)
    expect(Buffer.compare(await readAll(reader), bytes)).toBe(0)
    for (const offset of [0, 1, 65_535, 65_536, 65_537, size - 1, size].filter((at) => at >= 0 && at <= size)) {
      const part = await reader.read(offset, 3)
      expect([...part]).toEqual([...bytes.subarray(offset, offset + 3)])
    }
    await reader.close()
    await reader.close()
    await expect(reader.read(0, 1)).rejects.toMatchObject({ code: 'CLOSED' })
    await store.close()
  })

  it('answers a read of everything in bounded parts', async () => {
    const store = await fileSnapshots(directory)
    const bytes = content(3_000_000)
    await keep(store, 'a', bytes, 1_000_000)
    const reader = await store.open('a')
    const part = await reader.read(0, Number.MAX_SAFE_INTEGER)
    expect(part.length).toBeGreaterThan(0)
    expect(part.length).toBeLessThanOrEqual(1 << 20)
    expect(Buffer.compare(await readAll(reader, Number.MAX_SAFE_INTEGER), bytes)).toBe(0)
    await store.close()
  })

  it('is found only once it is committed, and stands alone in the folder then', async () => {
    const store = await fileSnapshots(directory)
    await expect(store.open('a')).rejects.toMatchObject({ code: 'MISSING' })
    const writer = await store.create('a')
    await writer.write(content(100))
    await expect(store.open('a')).rejects.toMatchObject({ code: 'MISSING' })
    await writer.commit()
    expect(await readdir(directory)).toEqual(['a.snapshot'])
    await expect(writer.write(content(1))).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(store.create('a')).rejects.toMatchObject({ code: 'REFUSED' })
    await store.close()
  })

  it('has one writer per name', async () => {
    const store = await fileSnapshots(directory)
    const [writer] = await Promise.all([
      store.create('a'),
      expect(store.create('a')).rejects.toMatchObject({ code: 'LOCKED' }),
    ])
    await writer.close()
    await (await store.create('a')).close()
    await store.close()
  })

  it('keeps the order of writes that are not awaited', async () => {
    const store = await fileSnapshots(directory)
    const bytes = content(300_000)
    const writer = await store.create('a')
    const writes: Promise<void>[] = []
    for (let at = 0; at < bytes.length; at += 7_777) writes.push(writer.write(bytes.subarray(at, at + 7_777)))
    await writer.commit()
    await Promise.all(writes)
    expect(Buffer.compare(await readAll(await store.open('a')), bytes)).toBe(0)
    await store.close()
  })

  it('goes on with an unfinished one, in the same store and in a later one', async () => {
    const bytes = content(200_000)
    let held = 0
    for (const end of [1, 65_536, 65_540, 131_071, 150_000]) {
      const store = await fileSnapshots(directory)
      const writer = await store.create('a')
      expect(writer.bytes).toBe(held)
      await writer.write(bytes.subarray(held, end))
      expect(writer.bytes).toBe(end)
      await writer.close()
      await writer.close()
      await store.close()
      held = end
    }
    const store = await fileSnapshots(directory)
    const writer = await store.create('a')
    await writer.write(bytes.subarray(writer.bytes))
    await writer.commit()
    expect(Buffer.compare(await readAll(await store.open('a')), bytes)).toBe(0)
    await store.close()
  })

  it('S4: an unfinished file cut or altered anywhere goes on with an intact beginning of what was written', async () => {
    const bytes = content(150_000)
    const store = await fileSnapshots(directory)
    const writer = await store.create('a')
    await writer.write(bytes)
    await writer.close()
    const path = join(directory, 'a.partial')
    const whole = await readFile(path)
    const places = [0, 3, 8, 9, 65_544, 65_547, 65_548, 70_000, 131_087, 131_088, whole.length - 4, whole.length - 1]
    for (const place of places) {
      for (const harm of ['cut', 'flip'] as const) {
        const harmed = Buffer.from(harm === 'cut' ? whole.subarray(0, place) : whole)
        if (harm === 'flip') harmed[place]! ^= 1
        await writeFile(path, harmed)
        const again = await store.create('a')
        expect(again.bytes).toBeLessThan(bytes.length)
        await again.write(bytes.subarray(again.bytes))
        await again.commit()
        expect(Buffer.compare(await readAll(await store.open('a')), bytes)).toBe(0)
        await store.retain([])
      }
    }
    await store.close()
  })

  it('S4: a crash between the last byte and the final name costs at most a block', async () => {
    const bytes = content(100_000)
    const store = await fileSnapshots(directory)
    await keep(store, 'a', bytes)
    const whole = await readFile(join(directory, 'a.snapshot'))
    await store.retain([])
    for (const size of [whole.length, whole.length - 1, whole.length - 20]) {
      await writeFile(join(directory, 'a.partial'), whole.subarray(0, size))
      const writer = await store.create('a')
      expect(writer.bytes).toBeGreaterThanOrEqual(65_536)
      await writer.write(bytes.subarray(writer.bytes))
      await writer.commit()
      expect(Buffer.compare(await readAll(await store.open('a')), bytes)).toBe(0)
      await store.retain([])
    }
    await store.close()
  })
})

describe('damage to a complete snapshot file (S8)', () => {
  async function refuses(store: SnapshotStore): Promise<boolean> {
    try {
      const reader = await store.open('a')
      try {
        await readAll(reader)
      } finally {
        await reader.close()
      }
      return false
    } catch (error) {
      expect(error).toMatchObject({ code: 'DAMAGED' })
      return true
    }
  }

  it('every single bit of a small file', async () => {
    const store = await fileSnapshots(directory)
    await keep(store, 'a', content(50))
    const path = join(directory, 'a.snapshot')
    const whole = await readFile(path)
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const harmed = Buffer.from(whole)
      harmed[bit >> 3]! ^= 1 << (bit & 7)
      await writeFile(path, harmed)
      expect(await refuses(store), `bit ${bit}`).toBe(true)
    }
    await store.close()
  })

  it('a flipped bit on a walk through every part of a large file', async () => {
    const store = await fileSnapshots(directory)
    await keep(store, 'a', content(200_000))
    const path = join(directory, 'a.snapshot')
    const whole = await readFile(path)
    for (let byte = 0; byte < whole.length; byte += 997) {
      const harmed = Buffer.from(whole)
      harmed[byte]! ^= 0x10
      await writeFile(path, harmed)
      expect(await refuses(store), `byte ${byte}`).toBe(true)
    }
    await store.close()
  })

  it('a cut at every length of a small file, and at the seams of a large one', async () => {
    const store = await fileSnapshots(directory)
    const path = join(directory, 'a.snapshot')
    for (const size of [50, 200_000]) {
      await store.retain([])
      await keep(store, 'a', content(size))
      const whole = await readFile(path)
      const seams = [0, 1, 2, 3].flatMap((n) => [8 + n * 65_540, 8 + n * 65_540 + 1, n * 65_540 + 4])
      const lengths = size === 50 ? [...whole.keys()] : seams.filter((at) => at < whole.length)
      for (const length of lengths) {
        await writeFile(path, whole)
        await truncate(path, length)
        expect(await refuses(store), `${length} of ${whole.length}`).toBe(true)
      }
      await writeFile(path, Buffer.concat([whole, new Uint8Array(1)]))
      expect(await refuses(store)).toBe(true)
      await writeFile(path, whole)
      expect(await refuses(store)).toBe(false)
    }
    await store.close()
  })

  it('a zeroed range, its checksum zeroed with it (the zero-CRC bypass)', async () => {
    const store = await fileSnapshots(directory)
    await keep(store, 'a', content(200_000))
    const path = join(directory, 'a.snapshot')
    const whole = await readFile(path)
    const ranges = [
      [8, 8 + 65_540],
      [8 + 65_540, 8 + 2 * 65_540],
      [4_096, 8_192],
      [whole.length - 24, whole.length],
      [0, whole.length],
    ] as const
    for (const [from, to] of ranges) {
      await writeFile(path, Buffer.from(whole).fill(0, from, to))
      expect(await refuses(store), `${from} to ${to}`).toBe(true)
    }
    await store.close()
  })

  it('D10: two blocks swapped, or one file under the name of another', async () => {
    const store = await fileSnapshots(directory)
    await keep(store, 'a', content(200_000))
    const path = join(directory, 'a.snapshot')
    const whole = await readFile(path)
    const first = whole.subarray(8, 8 + 65_540)
    const second = whole.subarray(8 + 65_540, 8 + 2 * 65_540)
    await writeFile(path, Buffer.concat([whole.subarray(0, 8), second, first, whole.subarray(8 + 2 * 65_540)]))
    expect(await refuses(store)).toBe(true)
    await store.retain([])
    await keep(store, 'b', content(10))
    await writeFile(path, await readFile(join(directory, 'b.snapshot')))
    expect(await refuses(store)).toBe(true)
    await store.close()
  })
})

describe('retain', () => {
  it('removes all others, unfinished ones too, and leaves foreign files alone', async () => {
    const store = await fileSnapshots(directory)
    for (const name of ['a', 'b', 'C']) await keep(store, name, content(10))
    await (await store.create('d')).close()
    await (await store.create('e')).close()
    await writeFile(join(directory, 'notes.txt'), 'mine')
    await store.retain(['C', 'e', 'unknown'])
    expect((await readdir(directory)).sort()).toEqual(['e.partial', 'notes.txt', '~1~c~.snapshot'].sort())
    await store.close()
  })

  it('leaves an open one to its reader until that closes', async () => {
    const store = await fileSnapshots(directory)
    const bytes = content(100_000)
    await keep(store, 'a', bytes)
    const reader = await store.open('a')
    await store.retain([])
    expect(Buffer.compare(await readAll(reader), bytes)).toBe(0)
    await reader.close()
    await expect(store.open('a')).rejects.toMatchObject({ code: 'MISSING' })
    await keep(store, 'a', content(5))
    expect((await store.open('a')).bytes).toBe(5)
    await store.close()
  })

  it('removes one that is being written when its writer closes, unless it is committed', async () => {
    const store = await fileSnapshots(directory)
    const left = await store.create('left')
    const finished = await store.create('finished')
    await store.retain([])
    await left.write(content(10))
    await left.close()
    await finished.write(content(10))
    await finished.commit()
    expect(await readdir(directory)).toEqual(['finished.snapshot'])
    await store.close()
  })

  it('B54: judges by the moment it is called: a commit that is issued later stands', async () => {
    const store = await fileSnapshots(directory)
    const writer = await store.create('new')
    await writer.write(content(10))
    await Promise.all([store.retain(['old']), writer.commit()])
    expect((await store.open('new')).bytes).toBe(10)
    await store.close()
  })
})

describe('the store', () => {
  it.each(['', '.', '..', '../a', 'a/b', 'a\\b', '-a', '.a', 'a\0', 'ä', 'a'.repeat(129)])(
    'refuses the name %j',
    async (name) => {
      const store = await fileSnapshots(directory)
      await expect(store.open(name)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
      await expect(store.create(name)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
      await expect(store.retain([name])).rejects.toMatchObject({ code: 'INVALID_OPTION' })
      expect(await readdir(directory)).toEqual([])
    },
  )

  it('makes its folder when it is first needed', async () => {
    const store = await fileSnapshots(join(directory, 'x', 'y'))
    await store.retain([])
    await expect(store.open('a')).rejects.toMatchObject({ code: 'MISSING' })
    expect(await readdir(directory)).toEqual([])
    await keep(store, 'a', content(1))
    expect(await readdir(join(directory, 'x', 'y'))).toEqual(['a.snapshot'])
    await store.close()
  })

  it('closes what is open, and then rejects', async () => {
    const store = await fileSnapshots(directory)
    await keep(store, 'a', content(10))
    const reader = await store.open('a')
    const writer = await store.create('b')
    await writer.write(content(70_000))
    await store.close()
    await store.close()
    const closed = { code: 'CLOSED' }
    await expect(reader.read(0, 1)).rejects.toMatchObject(closed)
    await expect(writer.write(content(1))).rejects.toMatchObject(closed)
    await expect(store.open('a')).rejects.toMatchObject(closed)
    await expect(store.create('c')).rejects.toMatchObject(closed)
    await expect(store.retain([])).rejects.toMatchObject(closed)
    const again = await fileSnapshots(directory)
    expect((await again.create('b')).bytes).toBe(70_000)
    await again.close()
  })
})
