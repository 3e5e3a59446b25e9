import { FrameReader } from '@raftkit/links'
import { noise } from '@raftkit/testing/noise'
import { describe, expect, test } from 'vitest'
import { alive, aliveWord, copiedBytes, encodeFrames } from '../src/frames.ts'

const maxFrameBytes = 70_000

function encode(frames: readonly (readonly Uint8Array[])[], spare = 0): Buffer {
  const bytes = frames.flat().reduce((sum, part) => sum + part.length, 0)
  return Buffer.concat(encodeFrames(frames, Buffer.alloc(copiedBytes(frames, bytes) + spare, 0xee)))
}

/** Reads the bytes in chunks of these sizes, over and over. */
function read(bytes: Uint8Array, sizes: readonly number[] = [bytes.length || 1]) {
  const frames: Uint8Array[] = []
  const reader = new FrameReader(maxFrameBytes, (frame) => frames.push(frame), aliveWord)
  let whole = true
  for (let at = 0, n = 0; at < bytes.length && whole; at += sizes[n++ % sizes.length]!)
    whole = reader.read(Uint8Array.from(bytes.subarray(at, at + sizes[n % sizes.length]!)))
  return { frames, whole }
}

describe('frames on the wire', () => {
  test('the layout is fixed: golden bytes', () => {
    const frames = [[Buffer.from('ab'), Buffer.from('c')], [], [Buffer.alloc(300, 1)]]
    expect(encode(frames).toString('hex')).toBe(`03000000616263000000002c010000${'01'.repeat(300)}`)
    expect(alive.toString('hex')).toBe('ffffffff')
  })

  test('come out as they went in, however parts and reads are cut', () => {
    const parts = [
      [noise(0)],
      [noise(1)],
      [noise(8191), noise(8192), noise(3)],
      [],
      [noise(70_000)],
      [noise(9000), noise(9000)],
      [noise(256), noise(0), noise(255)],
    ]
    const expected = parts.map((frame) => Buffer.concat(frame).toString('hex'))
    for (const spare of [0, 1000]) {
      const bytes = encode(parts, spare)
      for (const sizes of [[bytes.length], [1], [3], [4, 5], [7, 8192, 1], [65_536]]) {
        const { frames, whole } = read(bytes, sizes)
        expect(whole).toBe(true)
        expect(frames.map((frame) => Buffer.from(frame).toString('hex'))).toEqual(expected)
        // A Buffer's slice() does not copy, unlike that of what our types promise.
        expect(frames.every((frame) => frame.constructor === Uint8Array)).toBe(true)
      }
    }
  })

  test('large parts are handed on, not copied', () => {
    const large = noise(60_000)
    const frames = [[noise(10), large, large, noise(10)], [large]]
    expect(copiedBytes(frames, 180_020)).toBe(28)
    const chunks = encodeFrames(frames, Buffer.alloc(28))
    expect(chunks.map((chunk) => (chunk === large ? 'large' : chunk.length))).toEqual([
      14,
      'large',
      'large',
      14,
      'large',
    ])
  })

  test('a frame that is whole within a read is a view of it; one that is not lies by itself', () => {
    const bytes = encode([[noise(100)], [noise(100)]])
    const frames: Uint8Array[] = []
    const reader = new FrameReader(maxFrameBytes, (frame) => frames.push(frame), aliveWord)
    const [one, two] = [Uint8Array.from(bytes.subarray(0, 150)), Uint8Array.from(bytes.subarray(150))]
    reader.read(one)
    reader.read(two)
    expect(frames.map(({ buffer }) => buffer === one.buffer)).toEqual([true, false])
    expect(frames[1]!.buffer.byteLength).toBe(100)
  })

  test('signs of life are no frames, wherever they stand', () => {
    const bytes = Buffer.concat([alive, encode([[noise(5)]]), alive, alive, encode([[noise(6)]]), alive])
    for (const sizes of [[bytes.length], [1], [5]])
      expect(read(bytes, sizes).frames.map(({ length }) => length)).toEqual([5, 6])
  })
})

describe('bytes that are no frames', () => {
  test.each([
    ['a length above the limit', '71110100'],
    ['a length of 2^31', '00000080'],
    ['a length just below a sign of life', 'feffffff'],
  ])('%s ends it before anything is allocated', (_, hex) => {
    const before = process.memoryUsage().arrayBuffers
    expect(read(Buffer.from(`01000000aa${hex}`, 'hex'))).toMatchObject({ whole: false, frames: [{ length: 1 }] })
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000)
  })

  test('a frame that is cut off is not handed over', () => {
    const bytes = encode([[noise(40)], [noise(1000)]])
    for (let end = 0; end < bytes.length; end++)
      expect(read(bytes.subarray(0, end), [64]).frames.length).toBe(end < 44 ? 0 : 1)
  })

  test('whatever the bytes, reading neither throws nor hands over more than there is', () => {
    const whole = encode([[noise(40)], [noise(0)], [noise(200)], [noise(3)]])
    const random = noise(80_000)
    for (let n = 0; n + 8 < random.length; n += 8) {
      const bytes = Buffer.from(whole)
      for (let change = 0; change < 3; change++) bytes[random[n + change]! % bytes.length] = random[n + 3 + change]!
      const { frames } = read(bytes, [1 + (random[n + 6]! % 100), 1 + (random[n + 7]! % 100)])
      expect(frames.reduce((sum, frame) => sum + frame.length, 0)).toBeLessThanOrEqual(bytes.length)
      read(random.subarray(n, n + 600), [64])
    }
  })
})
