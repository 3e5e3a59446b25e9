import { isRaftkitError } from '@raftkit/contract'
import { describe, expect, test } from 'vitest'
import { decodeFrame, encodeFrame, type FrameMessage, frameBytes, frameOverhead, messageBytes } from '../src/frame.ts'
import { Frames } from '../src/frames.ts'
import golden from './golden/frames.json' with { type: 'json' }

const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'))
const join = (parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(parts))
const text = (value: string): Uint8Array => new TextEncoder().encode(value)

const genesis = '000102030405060708090a0b0c0d0e0f'
const from = 'a'.repeat(32)
const to = 'b'.repeat(32)
const messages: FrameMessage[] = [
  { group: 'main', from, to, parts: [text('head'), text('record one'), text('record two')] },
  { group: 'orders-7', from, to: '', parts: [text('only a head')] },
]

describe('a frame', () => {
  test('has the bytes of the golden vectors', () => {
    expect(golden.length).toBeGreaterThan(1)
    for (const { lane, genesis, messages, hex } of golden) {
      const parts = messages.map((message) => ({ ...message, parts: message.parts.map(bytesOf) }))
      const frame = join(encodeFrame(lane as 'control' | 'bulk', genesis, parts))
      expect(Buffer.from(frame).toString('hex')).toBe(hex)
    }
  })

  test('carries many messages of many groups, each with its head and tail end to end', () => {
    const frame = decodeFrame(join(encodeFrame('bulk', genesis, messages)))
    expect(frame.lane).toBe('bulk')
    expect(frame.genesis).toBe(genesis)
    expect(frame.messages.map(({ bytes, ...rest }) => ({ ...rest, text: Buffer.from(bytes).toString() }))).toEqual([
      { group: 'main', from, to, text: 'headrecord onerecord two' },
      { group: 'orders-7', from, to: '', text: 'only a head' },
    ])
  })

  test('hands the parts of its messages on without copying them', () => {
    const parts = encodeFrame('bulk', genesis, messages)
    for (const part of messages.flatMap((message) => message.parts)) expect(parts).toContain(part)
    const frame = join(parts)
    for (const message of decodeFrame(frame).messages) expect(message.bytes.buffer).toBe(frame.buffer)
  })

  test('before founding has no genesis', () => {
    expect(decodeFrame(join(encodeFrame('control', '', messages))).genesis).toBe('')
  })

  test('costs what it says it costs', () => {
    const each = messages.map(messageBytes)
    const whole = join(encodeFrame('control', genesis, messages)).length
    expect(frameBytes(each[0]! + each[1]!)).toBe(whole)
    const single = join(encodeFrame('control', genesis, [messages[0]!])).length
    expect(frameOverhead('main') + 24).toBe(single)
  })

  test('cut anywhere is a typed error', () => {
    const frame = join(encodeFrame('bulk', genesis, messages))
    for (let end = 0; end < frame.length; end++) expect(codeOf(frame.slice(0, end))).toBe('MALFORMED')
    expect(codeOf(join([frame, new Uint8Array(1)]))).toBe('MALFORMED')
  })

  test('with any bit flipped outside the tails is refused; the tails have checksums of their own', () => {
    const frame = join(encodeFrame('bulk', genesis, messages))
    const tail = Buffer.from(frame).indexOf('record one')
    for (let bit = 0; bit < frame.length * 8; bit++) {
      const flipped = frame.slice()
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      const inTail = bit >> 3 >= tail && bit >> 3 < tail + 20
      const expected = inTail ? 'accepted' : bit < 8 ? 'UNKNOWN_FORMAT' : 'MALFORMED'
      expect(codeOf(flipped), `bit ${bit}`).toBe(expected)
    }
  })

  test('that claims four billion messages allocates nothing for them', () => {
    const frame = join(encodeFrame('control', genesis, []))
    new DataView(frame.buffer).setUint32(22, 0xffff_ffff, true)
    expect(codeOf(frame)).toBe('MALFORMED')
  })

  test('whose message does not say whose it is is refused', () => {
    expect(codeOf(join(encodeFrame('control', '', [{ ...messages[0]!, from: '' }])))).toBe('MALFORMED')
    expect(codeOf(join(encodeFrame('control', '', [{ ...messages[0]!, group: '../main' }])))).toBe('MALFORMED')
  })
})

describe('the frames of a turn', () => {
  const sent = (frames: Frames) => {
    const list: { to: string; lane: string; genesis: string; count: number; bytes: number }[] = []
    frames.send((to, parts, lane) => {
      const frame = join(parts)
      const { genesis, messages } = decodeFrame(frame)
      list.push({ to, lane, genesis, count: messages.length, bytes: frame.length })
    })
    return list
  }

  test('are one for each peer and lane, control first', () => {
    const frames = new Frames(65_536)
    for (let i = 0; i < 10; i++) {
      frames.add('n2', 'bulk', genesis, messages[0]!)
      frames.add('n2', 'control', genesis, messages[1]!)
      frames.add('n3', 'bulk', genesis, messages[0]!)
    }
    expect(sent(frames).map(({ to, lane, count }) => `${to} ${lane} ${count}`)).toEqual([
      'n2 control 10',
      'n2 bulk 10',
      'n3 bulk 10',
    ])
    expect(sent(frames)).toEqual([])
  })

  test('are split where the transport carries no more', () => {
    const frames = new Frames(65_536)
    const large: FrameMessage = { group: 'main', from, to, parts: [new Uint8Array(8), new Uint8Array(20_000)] }
    for (let i = 0; i < 7; i++) expect(frames.add('n2', 'bulk', genesis, large)).toBe(true)
    const list = sent(frames)
    expect(list.map(({ count }) => count)).toEqual([3, 3, 1])
    for (const { bytes } of list) expect(bytes).toBeLessThanOrEqual(65_536)
  })

  test('do not carry what fits no frame', () => {
    const frames = new Frames(65_536)
    const room = 65_536 - frameOverhead('main')
    const of = (bytes: number): FrameMessage => ({ group: 'main', from, to, parts: [new Uint8Array(bytes)] })
    expect(frames.add('n2', 'bulk', genesis, of(room + 1))).toBe(false)
    expect(frames.add('n2', 'bulk', genesis, of(room))).toBe(true)
    expect(sent(frames).map(({ bytes }) => bytes)).toEqual([65_536])
  })
})

function codeOf(bytes: Uint8Array): string {
  try {
    decodeFrame(bytes)
    return 'accepted'
  } catch (error) {
    if (isRaftkitError(error)) return error.code
    throw error
  }
}
