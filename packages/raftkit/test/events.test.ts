import { describe, expect, test } from 'vitest'
import { EventHub } from '../src/events.ts'
import { World } from './world.ts'

const hub = (): EventHub => new EventHub(new World(), 'n1')
const commit = (index: number) => ({ type: 'commit' as const, index })

describe('an observer', () => {
  test('sees everything, stamped; a listener sees its type', () => {
    const events = hub()
    const seen: unknown[] = []
    const indexes: number[] = []
    events.observe((event) => seen.push(event))
    const stop = events.on('commit', ({ index }) => indexes.push(index))
    events.emit('main', commit(1))
    events.emit('main', { type: 'ready' })
    stop()
    events.emit('main', commit(2))
    expect(indexes).toEqual([1])
    expect(seen).toHaveLength(3)
    expect(seen[0]).toEqual({ at: 1000, node: 'n1', group: 'main', type: 'commit', index: 1 })
  })

  test('that throws disturbs nobody, not even when it listens to warnings', () => {
    const events = hub()
    const types: string[] = []
    events.observe(() => {
      throw new Error('mine')
    })
    events.observe(({ type }) => types.push(type))
    events.emit('main', commit(1))
    expect(types).toEqual(['warning', 'commit'])
  })
})

describe('a stream of events', () => {
  test('holds what nobody took yet, and tells at its place how much did not fit', async () => {
    const events = hub()
    const stream = events.stream(2)
    for (let index = 1; index <= 5; index++) events.emit('main', commit(index))
    expect((await stream.next()).value).toMatchObject(commit(1))
    events.emit('main', commit(6)) // there is room again
    const rest: unknown[] = []
    events.close()
    for await (const event of stream) rest.push(event)
    expect(rest).toMatchObject([commit(2), { type: 'missed', count: 3 }, commit(6)])
  })

  test('ends by return, by abort and by close, also while somebody waits', async () => {
    const events = hub()
    const abort = new AbortController()
    const aborted = events.stream(10, abort.signal).next()
    const closed = events.stream(10).next()
    const returned = events.stream(10)
    const waiting = returned.next()
    await returned.return?.()
    abort.abort()
    events.close()
    for (const end of [aborted, closed, waiting]) expect(await end).toEqual({ value: undefined, done: true })
    expect((await events.stream(10, abort.signal).next()).done).toBe(true)
  })
})
