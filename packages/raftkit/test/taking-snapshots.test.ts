import { RaftkitError, type Storage } from '@raftkit/contract'
import { memoryStorage } from '@raftkit/storage-memory'
import { memoryNetwork } from '@raftkit/transport-memory'
import { describe, expect, test } from 'vitest'
import { start, until } from './echo-node.ts'
import { bytes } from './journal.ts'

describe('snapshots', () => {
  test('are taken by themselves after so many entries, while entries go on being applied', async () => {
    const { node, events } = await start({ transport: memoryNetwork().transport(), snapshots: { everyEntries: 10 } })
    for (let i = 0; i < 35; i++) await node.propose(bytes(`${i}`))
    await until(() => (node.status().snapshot?.index ?? 0) >= 30)
    const taken = events.filter(({ type }) => type === 'saved').length
    expect(taken).toBeGreaterThanOrEqual(2)
    expect(node.status().first).toBe(node.status().snapshot!.index + 1)
  })

  test('that are large are not followed by another before so many times their size was applied (thesis §5.1.2)', async () => {
    const node = await start({ transport: memoryNetwork().transport(), snapshots: { everyEntries: 10, expansion: 3 } })
    const saved = () => node.events.flatMap((event) => (event.type === 'saved' ? [event.snapshot] : []))
    const text = 'x'.repeat(200_000)
    const propose = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) await node.node.propose(bytes(text))
    }
    await propose(12)
    await until(() => saved().length === 1)
    const { index, bytes: size } = saved()[0]!
    await propose(index + Math.floor((3 * size) / text.length) - 2 - 12)
    expect(saved().length).toBe(1)
    await propose(4)
    await until(() => saved().length === 2)
  })

  test('asked for while one is being taken: another follows, and every promise settles (B56)', async () => {
    const { node, machine } = await start({ transport: memoryNetwork().transport() })
    await node.propose(bytes('a'))
    let resume!: () => void
    const original = machine.snapshot.bind(machine)
    machine.snapshot = async function* () {
      const frozen = bytes(JSON.stringify([...machine.texts]))
      await new Promise<void>((resolve) => {
        resume = resolve
      })
      yield frozen
    }
    const first = node.snapshot()
    await until(() => resume !== undefined)
    await node.propose(bytes('b')) // applied while the snapshot is being written
    const second = node.snapshot()
    machine.snapshot = original
    resume()
    expect(await first).toMatchObject({ index: 1 })
    expect(await second).toMatchObject({ index: 2 })
  })

  test('that the machine cannot give are reported and tried again; the node goes on', async () => {
    const { node, machine, events } = await start({
      transport: memoryNetwork().transport(),
      snapshots: { everyEntries: 10 },
    })
    const original = machine.snapshot.bind(machine)
    machine.snapshot = () => {
      throw new Error('not now')
    }
    await node.propose(bytes('a'))
    await expect(node.snapshot()).rejects.toThrow('not now')
    machine.snapshot = original
    for (let i = 0; i < 30; i++) await node.propose(bytes(`${i}`))
    await until(() => node.status().snapshot !== undefined)
    expect(events.some((event) => event.type === 'snapshotting' && event.step === 'failed')).toBe(true)
    expect(node.status().state).toBe('running')
  })

  test('for which the disk has no room are given up and tried again; the node goes on (design, rule 7)', async () => {
    const storage = memoryStorage({ durable: true })
    let isFull = true
    const { node, events } = await start({
      transport: memoryNetwork().transport(),
      snapshots: { everyEntries: 10 },
      storage: Object.assign(Object.create(storage), {
        log: (group: string) => storage.log(group),
        close: () => storage.close(),
        snapshots: async (group: string) => {
          const store = await storage.snapshots(group)
          const noRoom = () =>
            Promise.reject(new RaftkitError('STORAGE_FAILED', 'no space left; free some', { retryable: true }))
          return {
            open: (name: string) => store.open(name),
            create: (name: string) => (isFull ? noRoom() : store.create(name)),
            retain: (names: readonly string[]) => store.retain(names),
          }
        },
      } satisfies Pick<Storage, 'log' | 'snapshots' | 'close'>),
    })
    await node.propose(bytes('a'))
    await expect(node.snapshot()).rejects.toMatchObject({ code: 'STORAGE_FAILED', retryable: true })
    isFull = false
    for (let i = 0; i < 30; i++) await node.propose(bytes(`${i}`))
    await until(() => node.status().snapshot !== undefined)
    expect(events.some((event) => event.type === 'snapshotting' && event.step === 'failed')).toBe(true)
    expect(node.status().state).toBe('running')
  })
})
