import { isRaftkitError, RaftkitError } from '@raftkit/contract'
import { memoryStorage } from '@raftkit/storage-memory'
import { describe, expect, test } from 'vitest'
import { Blobs } from '../src/blobs.ts'
import { check } from '../src/snapshot-file.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

async function store() {
  return memoryStorage({ durable: true }).snapshots('main')
}

describe('the blob that is fetched from a peer', () => {
  test('is written piece by piece, goes on where it stopped, and is there once committed', async () => {
    const snapshots = await store()
    const first = new Blobs(snapshots, () => [])
    expect(await first.carryOut({ type: 'createSnapshot', id: 1, name: 's' })).toEqual({
      type: 'createSnapshot',
      held: 0,
    })
    const piece = { type: 'writeSnapshot', id: 2, name: 's', bytes: bytes('half ') } as const
    expect(await first.carryOut(piece)).toEqual({ type: 'writeSnapshot', held: 5 })
    expect(await first.carryOut({ type: 'createSnapshot', id: 3, name: 's' })).toMatchObject({ held: 5 }) // the same again
    first.close()

    const second = new Blobs(snapshots, () => [])
    expect(await second.carryOut({ type: 'createSnapshot', id: 1, name: 's' })).toMatchObject({ held: 5 })
    const answers = await Promise.all([
      second.carryOut({ type: 'writeSnapshot', id: 2, name: 's', bytes: bytes('and ') }),
      second.carryOut({ type: 'writeSnapshot', id: 3, name: 's', bytes: bytes('half') }),
      second.carryOut({ type: 'commitSnapshot', id: 4, name: 's' }),
    ])
    expect(answers).toEqual([
      { type: 'writeSnapshot', held: 9 },
      { type: 'writeSnapshot', held: 13 },
      { type: 'commitSnapshot' },
    ])
    expect(await second.carryOut({ type: 'readSnapshot', id: 5, name: 's', offset: 5, maxBytes: 100 })).toEqual({
      type: 'readSnapshot',
      bytes: bytes('and half'),
    })
    second.close()
  })

  test('for which the disk has no room is given up, and goes on where it stopped once it is offered again', async () => {
    const snapshots = await store()
    let room = 5
    const blobs = new Blobs(
      {
        open: (name) => snapshots.open(name),
        retain: (names) => snapshots.retain(names),
        async create(name) {
          const writer = await snapshots.create(name)
          return {
            get bytes() {
              return writer.bytes
            },
            async write(chunk) {
              room -= chunk.length
              if (room < 0) throw new RaftkitError('STORAGE_FAILED', 'no space left; free some', { retryable: true })
              await writer.write(chunk)
            },
            commit: () => writer.commit(),
            close: () => writer.close(),
          }
        },
      },
      () => [],
    )
    const create = { type: 'createSnapshot', id: 1, name: 's' } as const
    const write = (text: string) => blobs.carryOut({ type: 'writeSnapshot', id: 2, name: 's', bytes: bytes(text) })
    expect(await blobs.carryOut(create)).toMatchObject({ held: 0 })
    expect(await write('half ')).toMatchObject({ held: 5 })
    expect(await write('and half')).toEqual({ type: 'failed', code: 'MISSING' })
    room = 100
    expect(await blobs.carryOut(create)).toMatchObject({ held: 5 })
    expect(await write('and half')).toMatchObject({ held: 13 })
    expect(await blobs.carryOut({ type: 'commitSnapshot', id: 3, name: 's' })).toEqual({ type: 'commitSnapshot' })
    blobs.close()
  })

  test('that was committed before a crash, but not adopted, is found complete and need not be fetched again', async () => {
    const snapshots = await store()
    const writer = await snapshots.create('s')
    await writer.write(bytes('whole'))
    await writer.commit()
    const blobs = new Blobs(snapshots, () => [])
    expect(await blobs.carryOut({ type: 'createSnapshot', id: 1, name: 's' })).toMatchObject({ held: 5 })
    expect(await blobs.carryOut({ type: 'commitSnapshot', id: 2, name: 's' })).toEqual({ type: 'commitSnapshot' })
    blobs.close()
  })
})

describe('a fetched blob that its sender read from a rotten disk', () => {
  test('does not come into force: the protocol hears that it failed, and fetches it again once it is dropped', async () => {
    const snapshots = await store()
    const blobs = new Blobs(
      snapshots,
      () => [],
      (name) => check(name, snapshots),
    )
    const fetch = (): Promise<unknown> =>
      Promise.all([
        blobs.carryOut({ type: 'createSnapshot', id: 1, name: '7-2-x' }),
        blobs.carryOut({
          type: 'writeSnapshot',
          id: 2,
          name: '7-2-x',
          bytes: bytes('nothing that anybody ever wrote'),
        }),
        blobs.carryOut({ type: 'commitSnapshot', id: 3, name: '7-2-x' }),
      ])
    expect(await fetch()).toMatchObject([{ held: 0 }, { held: 31 }, { type: 'failed' }])
    // The protocol lets go of it and begins anew in the same turn: the store must not say LOCKED or REFUSED.
    const dropped = blobs.retain([])
    expect(await fetch()).toMatchObject([{ held: 0 }, { held: 31 }, { type: 'failed' }])
    await dropped
    blobs.close()
  })
})

describe('blobs', () => {
  test('that are missing are the protocol’s to handle', async () => {
    const blobs = new Blobs(await store(), () => [])
    const failed = { type: 'failed', code: 'MISSING' }
    expect(await blobs.carryOut({ type: 'readSnapshot', id: 1, name: 'x', offset: 0, maxBytes: 9 })).toEqual(failed)
    expect(await blobs.carryOut({ type: 'writeSnapshot', id: 2, name: 'x', bytes: bytes('?') })).toEqual(failed)
    blobs.close()
  })

  test('that the runtime writes itself outlive what the protocol retains, and others do not', async () => {
    const snapshots = await store()
    for (const name of ['old', 'kept', 'mine']) {
      const writer = await snapshots.create(name)
      await writer.write(bytes(name))
      await writer.commit()
    }
    const own = ['mine']
    const blobs = new Blobs(snapshots, () => own)
    const read = (name: string) => blobs.carryOut({ type: 'readSnapshot', id: 1, name, offset: 0, maxBytes: 9 })
    expect(await read('old')).toMatchObject({ bytes: bytes('old') }) // open, and so pinned, until retain lets go of it
    await blobs.retain(['kept'])
    expect(await read('kept')).toMatchObject({ bytes: bytes('kept') })
    expect(await read('mine')).toMatchObject({ bytes: bytes('mine') })
    expect(await read('old')).toEqual({ type: 'failed', code: 'MISSING' })
    blobs.close()
  })

  test('whose store fails stop the replica: the failure is not an answer', async () => {
    const snapshots = await store()
    const broken = {
      ...snapshots,
      open: () => Promise.reject(new Error('EIO')),
      create: snapshots.create,
      retain: snapshots.retain,
    }
    const failure = await new Blobs(broken, () => [])
      .carryOut({ type: 'readSnapshot', id: 1, name: 's', offset: 0, maxBytes: 9 })
      .catch((error) => error)
    expect(isRaftkitError(failure, 'STORAGE_FAILED')).toBe(true)
    const damaged = { ...broken, open: () => Promise.reject(new RaftkitError('DAMAGED', 'torn')) }
    const answer = await new Blobs(damaged, () => []).carryOut({
      type: 'readSnapshot',
      id: 1,
      name: 's',
      offset: 0,
      maxBytes: 9,
    })
    expect(answer).toEqual({ type: 'failed', code: 'DAMAGED' })
  })
})
