import { FrameReader } from '@raftkit/links'
import { noise } from '@raftkit/testing/noise'
import { describe, expect, test } from 'vitest'
import { encodeFrames } from '../src/frames.ts'
import { maxMessageBytes } from '../src/line.ts'

const maxFrameBytes = 300_000
const encode = (...frames: Uint8Array[][]) =>
  encodeFrames(
    frames,
    frames.flat().reduce((sum, { length }) => sum + length, 0),
  )

/** What a reader makes of these messages, copied at once; undefined: malformed. */
function read(messages: readonly Uint8Array[], limit = maxFrameBytes): Buffer[] | undefined {
  const frames: Buffer[] = []
  const reader = new FrameReader(limit, (frame) => frames.push(Buffer.from(frame)))
  return messages.every((message) => reader.read(message)) ? frames : undefined
}
/** By `equals`: a runner that compares large buffers byte by byte takes seconds. */
const same = (found: readonly Uint8Array[] | undefined, wanted: readonly Uint8Array[]) =>
  found?.length === wanted.length && wanted.every((each, n) => Buffer.from(each).equals(found[n]!))
const join = (messages: readonly Uint8Array[]) => Buffer.concat(messages)

describe('frames', () => {
  const sizes = [0, 1, 3, 4, 5, 65_531, 65_532, 65_533, 65_536, 131_064, 131_065, 299_999, maxFrameBytes]

  test.each(sizes)('of %i bytes travel in messages of 64 KiB at most, as few as will do', (size) => {
    const frame = noise(size)
    const messages = encode([frame])
    expect(messages).toHaveLength(Math.ceil((size + 4) / maxMessageBytes))
    for (const { length } of messages) expect(length).toBeLessThanOrEqual(maxMessageBytes)
    const word = Buffer.from([size, size >>> 8, size >>> 16, size >>> 24])
    expect(join(messages).equals(Buffer.concat([word, frame]))).toBe(true)
    expect(same(read(messages), [frame])).toBe(true)
  })

  test('of many parts and sizes arrive whole and in order, wherever the stream is cut', () => {
    const frames = [
      [noise(10), noise(0), noise(70_000)],
      [],
      [noise(5)],
      ...sizes.map((size) => [noise(size)]),
      [noise(1)],
    ]
    const whole = frames.map((parts) => Buffer.concat(parts))
    const messages = encode(...frames)
    expect(same(read(messages), whole)).toBe(true)
    const stream = join(messages)
    for (const piece of [1, 2, 3, 5, 4099]) {
      const cut: Uint8Array[] = []
      for (let at = 0; at < stream.length && (piece > 3 || at < 300_000); at += piece)
        cut.push(stream.subarray(at, at + piece))
      const found = read(cut)!
      expect(same(found, whole.slice(0, found.length))).toBe(true)
      if (piece > 3) expect(found).toHaveLength(whole.length)
    }
  })

  test('above the limit are malformed before anything is allocated for them', () => {
    const before = process.memoryUsage().arrayBuffers
    expect(read([Buffer.from('e1930400', 'hex')])).toBeUndefined()
    expect(read([Buffer.from('00000000ffffffff', 'hex')])).toBeUndefined()
    expect(read([Buffer.from('ff', 'hex'), Buffer.from('ffff', 'hex'), Buffer.from('7f', 'hex')])).toBeUndefined()
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000)
    expect(read([Buffer.from('e0930400', 'hex')])).toEqual([])
  })

  test('whatever the bytes, reading neither throws nor hands over more than there is', () => {
    for (let n = 1; n < 3000; n++) {
      const bytes = noise(n)
      const frames = read([bytes.subarray(0, n >>> 1), bytes.subarray(n >>> 1)], 65_536) ?? []
      expect(frames.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(n)
    }
  })
})
