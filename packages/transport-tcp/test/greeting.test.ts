import { type Greeting, type Hello, Refusal } from '@raftkit/links'
import { noise } from '@raftkit/testing/noise'
import { describe, expect, test } from 'vitest'
import { encode, encodeTurnedDown, GreetingReader } from '../src/greeting.ts'

const life = '0001020304050607'
const [nonce, none] = ['a0'.repeat(16), '00'.repeat(32)]
const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))
const hello = (of: Partial<Hello>): Hello => ({
  hello: bytes(''),
  life,
  maxFrameBytes: 65_536,
  nonce: bytes(nonce),
  proof: bytes(''),
  ...of,
})
const name = Buffer.from('raftkit1')

function read(bytes: Buffer, size: number = bytes.length): { messages: Greeting[]; rest: string } {
  const reader = new GreetingReader()
  const messages: Greeting[] = []
  for (let at = 0; at < bytes.length; at += size) {
    reader.add(bytes.subarray(at, at + size))
    for (let message = reader.next(); message; message = reader.next()) messages.push(message)
  }
  return { messages, rest: reader.rest().toString('hex') }
}

describe('the greeting', () => {
  test('its layout is fixed: golden bytes', () => {
    const said = hello({ hello: bytes('6869'), maxFrameBytes: 300 })
    expect(encode({ kind: 'hello', lane: 'bulk', hello: said }, true).toString('hex')).toBe(
      `${name.toString('hex')}4000` + `0101${life}2c010000${nonce}${none}6869`,
    )
    expect(encode({ kind: 'admitted' }, false).toString('hex')).toBe('010002')
    expect(encodeTurnedDown(new Refusal('limits', 'no'), false).toString('hex')).toBe('040003026e6f')
    expect(encodeTurnedDown(new Error('oops'), true).subarray(0, 12).toString('hex')).toBe(
      `${name.toString('hex')}0d000305`,
    )
    expect(encode({ kind: 'challenge', challenge: bytes(nonce) }, true).toString('hex')).toBe(
      `${name.toString('hex')}110004${nonce}`,
    )
    expect(encode({ kind: 'proof', proof: bytes('ab'.repeat(32)) }, false).toString('hex')).toBe(
      `210005${'ab'.repeat(32)}`,
    )
  })

  test('is read as it was said, whatever the network makes of it', () => {
    const messages: Greeting[] = [
      {
        kind: 'hello',
        lane: 'control',
        hello: hello({ hello: noise(4000), maxFrameBytes: 2 ** 28, proof: noise(32) }),
      },
      { kind: 'admitted' },
      { kind: 'refused', refusal: new Refusal('busy', 'later') },
      { kind: 'challenge', challenge: noise(16) },
      { kind: 'proof', proof: noise(32) },
    ]
    const bytes = Buffer.concat(messages.map((message, n) => encode(message, n === 0)))
    for (const size of [1, 7, bytes.length]) expect(read(bytes, size)).toEqual({ messages, rest: '' })
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
    ['a hello that is too short', `3d0001${'00'.repeat(60)}`],
    ['a hello of a third lane', `3e000102${'00'.repeat(60)}`],
    ['a challenge that is too short', `100004${'00'.repeat(15)}`],
    ['a proof that is too long', `220005${'00'.repeat(33)}`],
    ['an admission with a body', '02000200'],
    ['a refusal without a reason', '010003'],
    ['a refusal for a reason unknown', '02000309'],
  ])('%s is turned down', (_, hex) => {
    expect(() => read(Buffer.concat([name, Buffer.from(hex, 'hex')]))).toThrow(Refusal)
  })

  test('whatever the bytes, reading throws nothing but refusals and holds no more than it was given', () => {
    const whole = encode({ kind: 'hello', lane: 'bulk', hello: hello({ hello: noise(30) }) }, true)
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
