import { Refusal } from '@raftkit/links'
import { describe, expect, test } from 'vitest'
import { admitted, encodeHello, encodeRefusal, GreetingReader, type Message } from '../src/greeting.ts'
import { noise } from './noise.ts'

const life = '0001020304050607'
const name = Buffer.from('raftkit1')

function read(bytes: Buffer, size: number = bytes.length): { messages: Message[]; rest: string } {
  const reader = new GreetingReader()
  const messages: Message[] = []
  for (let at = 0; at < bytes.length; at += size) {
    reader.add(bytes.subarray(at, at + size))
    for (let message = reader.next(); message; message = reader.next()) messages.push(message)
  }
  return { messages, rest: reader.rest().toString('hex') }
}

describe('the greeting', () => {
  test('its layout is fixed: golden bytes', () => {
    expect(encodeHello('bulk', { hello: Buffer.from('hi'), life, maxFrameBytes: 300 }).toString('hex')).toBe(
      `${name.toString('hex')}1000` + `0101${life}2c0100006869`,
    )
    expect(admitted.toString('hex')).toBe('010002')
    expect(encodeRefusal(new Refusal('limits', 'no'), false).toString('hex')).toBe('040003026e6f')
    expect(encodeRefusal(new Error('oops'), true).subarray(0, 12).toString('hex')).toBe(
      `${name.toString('hex')}0d000305`,
    )
  })

  test('is read as it was said, whatever the network makes of it', () => {
    const hello = { hello: noise(4000), life, maxFrameBytes: 2 ** 28 }
    const bytes = Buffer.concat([
      encodeHello('control', hello),
      admitted,
      encodeRefusal(new Refusal('busy', 'later'), false),
    ])
    for (const size of [1, 7, bytes.length])
      expect(read(bytes, size)).toEqual({
        messages: [
          { kind: 'hello', lane: 'control', hello },
          { kind: 'admitted' },
          { kind: 'refused', refusal: new Refusal('busy', 'later') },
        ],
        rest: '',
      })
  })

  test.each([
    ['another protocol', 'GET / HTTP/1.1'],
    ['another version', 'raftkit2'],
    ['one wrong byte', 'raftkix'],
    ['TLS', '\x16\x03\x01\x02\x00'],
  ])('%s is turned down at the first byte that differs', (_, text) => {
    expect(() => read(Buffer.from(text, 'latin1'), 1)).toThrow(Refusal)
  })

  test.each([
    ['a message of no bytes', '0000'],
    ['a message longer than any', 'ffff'],
    ['another kind', '010009'],
    ['a hello that is too short', `0d0001${'00'.repeat(12)}`],
    ['a hello of a third lane', `0e000102${'00'.repeat(12)}`],
    ['an admission with a body', '02000200'],
    ['a refusal without a reason', '010003'],
    ['a refusal for a reason unknown', '02000309'],
  ])('%s is turned down', (_, hex) => {
    expect(() => read(Buffer.concat([name, Buffer.from(hex, 'hex')]))).toThrow(Refusal)
  })

  test('whatever the bytes, reading throws nothing but refusals and holds no more than it was given', () => {
    const whole = encodeHello('bulk', { hello: noise(30), life, maxFrameBytes: 65_536 })
    const random = noise(60_000)
    for (let n = 0; n + 4 < random.length; n += 4) {
      const bytes = Buffer.from(whole)
      for (let change = 0; change < 2; change++)
        bytes[8 + (random[n + change]! % (bytes.length - 8))] = random[n + 2 + change]!
      try {
        expect(read(bytes, 16).rest.length / 2).toBeLessThanOrEqual(bytes.length)
      } catch (error) {
        expect(error).toBeInstanceOf(Refusal)
      }
    }
  })
})
