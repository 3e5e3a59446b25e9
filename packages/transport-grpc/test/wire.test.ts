import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { noise } from '@raftkit/testing/noise'
import protobuf from 'protobufjs'
import { describe, expect, test } from 'vitest'
import {
  decodeHello,
  decodeOpening,
  encodeFrames,
  encodeHello,
  encodeOpening,
  maxHelloBytes,
  type Opening,
  readFrames,
} from '../src/wire.ts'

const file = new URL('../proto/raftkit/transport/v1/transport.proto', import.meta.url)
const schema = protobuf.parse(readFileSync(file, 'utf8'), { keepCase: true }).root
const Frames = schema.lookupType('raftkit.transport.v1.Frames')
const Hello = schema.lookupType('raftkit.transport.v1.Hello')

const nonce = 'a0'.repeat(16)
const hello = {
  hello: noise(3),
  life: '0123456789abcdef',
  maxFrameBytes: 65_536,
  nonce: new Uint8Array(Buffer.from(nonce, 'hex')),
  proof: new Uint8Array(0),
}

const digest = (bytes: Uint8Array) => `${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}`

function encode(frames: readonly (readonly Uint8Array[])[]): Buffer {
  return encodeFrames(
    frames,
    frames.flat().reduce((sum, part) => sum + part.length, 0),
  )
}

function read(message: Uint8Array): { frames: Uint8Array[]; whole: boolean } {
  const frames: Uint8Array[] = []
  const whole = readFrames(message, (frame) => frames.push(frame))
  return { frames, whole }
}

describe('the wire follows transport.proto', { timeout: 60_000 }, () => {
  const frames = [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152].map(noise)

  test('protobufjs reads our frames as the schema says', () => {
    const parts = frames.map((frame) => [frame.subarray(0, 5), frame.subarray(5)])
    const decoded = Frames.decode(encode(parts)) as unknown as { frames: Uint8Array[] }
    expect(decoded.frames.map(digest)).toEqual(frames.map(digest))
    expect((Frames.decode(encode([])) as unknown as { frames: Uint8Array[] }).frames).toEqual([])
  })

  test('we read what protobufjs writes, byte for byte what we write', () => {
    const theirs = Frames.encode({ frames }).finish()
    expect(read(theirs).whole).toBe(true)
    expect(read(theirs).frames.map(digest)).toEqual(frames.map(digest))
    expect(digest(encode(frames.map((frame) => [frame])))).toBe(digest(theirs))
  })

  test('a hello crosses both ways', () => {
    const ours = { ...hello, hello: noise(300), maxFrameBytes: 4_194_304, proof: noise(32) }
    const theirs = {
      hello: ours.hello,
      life: Buffer.from(ours.life, 'hex'),
      max_frame_bytes: ours.maxFrameBytes,
      nonce: ours.nonce,
      proof: ours.proof,
    }
    expect(encodeHello(ours).equals(Hello.encode(theirs).finish())).toBe(true)
    expect(decodeHello(Hello.encode(theirs).finish())).toEqual(ours)
    expect(Hello.toObject(Hello.decode(encodeHello(ours)))).toMatchObject({ max_frame_bytes: ours.maxFrameBytes })
  })

  test('a field that a later version adds to the hello is passed over', () => {
    const bytes = encodeHello(hello)
    expect(decodeHello(Buffer.concat([bytes, Buffer.from([0x7a, 2, 1, 2, 0x78, 5])]))?.maxFrameBytes).toBe(65_536)
  })

  test('the layout is fixed: golden bytes', () => {
    expect(encode([[Buffer.from('ab'), Buffer.from('c')], [], [Buffer.from('d')]]).toString('hex')).toBe(
      '0a036162630a000a0164',
    )
    const said = encodeHello({ ...hello, hello: Buffer.from('hi'), life: '0001020304050607', maxFrameBytes: 300 })
    expect(said.toString('hex')).toBe(`0a0268691208000102030405060718ac022210${nonce}`)
    const opening = (opening: Opening) => encodeOpening(opening).toString('hex')
    expect(opening({ kind: 'admitted' })).toBe('')
    expect(opening({ kind: 'proof', proof: Buffer.from('abcd', 'hex') })).toBe('1202abcd')
    expect(opening({ kind: 'hello', hello })).toBe(
      `1a${encodeHello(hello).length.toString(16)}${encodeHello(hello).toString('hex')}`,
    )
    expect(opening({ kind: 'refused', reason: 'no' })).toBe('22026e6f')
  })

  test('what is said before frames crosses both ways', () => {
    const openings: Opening[] = [
      { kind: 'admitted' },
      { kind: 'proof', proof: noise(32) },
      { kind: 'hello', hello: { ...hello, proof: noise(32) } },
      { kind: 'refused', reason: 'no' },
    ]
    for (const opening of openings) {
      expect(decodeOpening(encodeOpening(opening))).toEqual(opening)
      const { proof, hello, refused } = Frames.decode(encodeOpening(opening)) as unknown as Record<string, unknown>
      if (opening.kind === 'proof') expect(digest(proof as Uint8Array)).toBe(digest(opening.proof))
      if (opening.kind === 'hello') expect(hello).toMatchObject({ max_frame_bytes: 65_536 })
      if (opening.kind === 'refused') expect(refused).toBe('no')
    }
    for (const hex of ['1a0568', '2a00', '0a00', '1200' + '1200', '1a00', 'ff'])
      expect(decodeOpening(Buffer.from(hex, 'hex')), hex).toBeUndefined()
    expect(decodeOpening(Buffer.concat([Buffer.from('22', 'hex'), noise(20_000)]))).toBeUndefined()
  })
})

describe('malformed bytes', { timeout: 60_000 }, () => {
  test.each([
    ['another field', '12026869'],
    ['another wire type', '0801'],
    ['a length beyond the end', '0a05616263'],
    ['a length of 2^32 - 1', '0affffffff0f'],
    ['a length that never ends', '0affffffffffffffffff01'],
    ['a key alone', '0a'],
  ])('frames with %s are refused', (_, hex) => {
    expect(read(Buffer.from(hex, 'hex')).whole).toBe(false)
  })

  test.each([
    ['nothing', ''],
    ['no life', '0a026869188080808004'],
    ['a short life', '0a02686912010118ac02'],
    ['no limit', '0a02686912080001020304050607'],
    ['a group', '0a0268691208000102030405060718ac023b'],
    ['a length beyond the end', '0aff01'],
  ])('a hello with %s is refused', (_, hex) => {
    expect(decodeHello(Buffer.from(hex, 'hex'))).toBeUndefined()
  })

  test('a hello above its limit is refused', () => {
    const said = encodeHello({ ...hello, hello: noise(maxHelloBytes), life: '0001020304050607', maxFrameBytes: 300 })
    expect(decodeHello(said)).toBeUndefined()
  })

  test('whatever the bytes, reading neither throws nor hands over more than there is', () => {
    const whole = encode([[noise(40)], [noise(0)], [noise(200)]])
    const said = encodeHello({ ...hello, hello: noise(30), life: '0001020304050607', maxFrameBytes: 300 })
    const random = noise(200_000)
    for (let n = 0; n + 8 < random.length; n += 8) {
      const bytes = Buffer.from(n % 16 ? whole : said)
      for (let change = 0; change < 3; change++) bytes[random[n + change]! % bytes.length] = random[n + 3 + change]!
      const cut = bytes.subarray(0, bytes.length - (random[n + 7]! & 3))
      expect(read(cut).frames.reduce((sum, frame) => sum + frame.length, 0)).toBeLessThanOrEqual(cut.length)
      decodeHello(cut)
    }
  })
})
