import type { Outgoing } from '@raftkit/contract'
import { describe, expect, test } from 'vitest'
import { Outbox } from '../src/outbox.ts'

const message = (text: string, after: number): Outgoing<string> => ({
  to: 'n2',
  incarnation: '',
  message: text,
  lane: 'control',
  after,
})
const texts = (messages: readonly Outgoing<string>[]): string[] => messages.map(({ message }) => message)

describe('a message', () => {
  test('that implies no write leaves at once, and does not wait behind one that does', () => {
    const outbox = new Outbox<string>()
    expect(texts(outbox.release([message('vote', 1), message('heartbeat', 0)]).ready)).toEqual(['heartbeat'])
  })

  test('leaves once its write is durable, in order', () => {
    const outbox = new Outbox<string>()
    outbox.release([message('a', 2), message('b', 1), message('c', 3), message('d', 2)])
    outbox.advance(2)
    expect(texts(outbox.release([message('e', 1), message('f', 3)]).ready)).toEqual(['a', 'b', 'd', 'e'])
    outbox.advance(3)
    expect(texts(outbox.release([]).ready)).toEqual(['c', 'f'])
  })

  test('never leaves by an older write that became durable late', () => {
    const outbox = new Outbox<string>()
    outbox.advance(5)
    outbox.advance(4)
    expect(outbox.durable).toBe(5)
    expect(outbox.release([message('a', 6)]).ready).toEqual([])
  })

  test('is given up, the oldest first, when too many wait for a disk that hangs', () => {
    const outbox = new Outbox<string>(3)
    let dropped = 0
    for (let i = 1; i <= 5; i++) dropped += outbox.release([message(`m${i}`, 1)]).dropped
    expect(dropped).toBe(2)
    outbox.advance(1)
    expect(texts(outbox.release([]).ready)).toEqual(['m3', 'm4', 'm5'])
  })
})
