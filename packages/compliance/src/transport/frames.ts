import assert from 'node:assert/strict'
import type { Lane } from '@raftkit/contract'
import type { Promises } from './stage.ts'
import type { TransportSubject } from './subject.ts'

const lanes: readonly Lane[] = ['control', 'bulk']

/** Frames arrive whole and equal or not at all; bytes that were handed over are left alone. */
export function framePromises(it: Promises, subject: TransportSubject): void {
  it('frames of every size arrive whole and equal, on both lanes and in both directions', async (stage) => {
    const [a, b] = await stage.pair()
    const max = a.transport.maxFrameBytes
    assert.ok(Number.isSafeInteger(max) && max >= 65_536, `maxFrameBytes is ${max} and should be at least 65536`)
    assert.equal(b.transport.maxFrameBytes, max)
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const)
      for (const lane of lanes)
        for (const size of [0, 1, 127, 128, 255, 256, 16_383, 65_535, 65_536, max - 1, max])
          await stage.deliver(from, to, [stage.noise(size)], lane)
  })

  it('the parts of a frame are one frame', async (stage) => {
    const [a, b] = await stage.pair()
    const frame = stage.noise(40_000)
    const large = Buffer.concat([stage.noise(100), frame, stage.noise(100)])
    const views = [large.subarray(100, 300), new Uint8Array(0), large.subarray(300, 301), large.subarray(301, 40_100)]
    for (const lane of lanes) {
      await stage.deliver(a, b, views, lane, 'a frame in views of a larger buffer')
      await stage.deliver(
        a,
        b,
        [...stage.noise(700)].map((byte) => Uint8Array.of(byte)),
        lane,
        'a frame in 700 parts',
      )
      await stage.deliver(a, b, [], lane, 'a frame without parts')
      await stage.deliver(a, b, [new Uint8Array(0), new Uint8Array(0)], lane, 'a frame of empty parts')
    }
  })

  it('many small frames in one turn stay many frames', async (stage) => {
    const [a, b] = await stage.pair()
    const missing = new Map(Array.from({ length: 500 }, (_, n) => [n, stage.noise(3 + (n % 60))] as const))
    await stage.until(
      () => {
        for (const [n, frame] of missing) if (b.hears(frame)) missing.delete(n)
        for (const frame of missing.values()) a.send(b, [frame], 'bulk')
        return missing.size === 0
      },
      () => `${missing.size} of 500 frames are still missing`,
    )
  })

  it('a frame above the limit is dropped, harms no link, and the next one arrives', async (stage) => {
    const [a, b] = await stage.pair()
    const max = a.transport.maxFrameBytes
    for (const lane of lanes) {
      a.send(b, [stage.noise(max), new Uint8Array(1)], lane)
      a.send(b, [new Uint8Array(2 * max)], lane)
      await stage.reach(a, b, lane)
    }
    await stage.wait(50)
    assert.ok(
      b.heard.every(({ frame }) => frame.length <= max),
      'a frame above the limit arrived',
    )
    assert.deepEqual([a.links, b.links], [['b up'], ['a up']], 'the link is left in peace')
  })

  it('frames to strangers, to oneself and to those not connected are dropped in silence', async (stage) => {
    const [a, b] = [await stage.start('a'), await stage.start('b')]
    a.setPeers(a)
    for (const to of ['a', 'b', 'nobody', '', '__proto__', 'constructor'])
      for (const lane of lanes) a.send(to, [stage.noise(20)], lane)
    await stage.wait(30)
    await stage.connect(a, b)
    await stage.reach(a, b)
    await stage.reach(b, a)
    for (const to of ['a', 'nobody', '__proto__', 'constructor']) a.send(to, [stage.noise(20)], 'bulk')
    await stage.wait(30)
    assert.ok(
      b.heard.every(({ frame }) => frame.length === 40),
      'a frame from before the connection arrived',
    )
    assert.ok(
      a.heard.every(({ from }) => from === 'b'),
      'a node hears itself',
    )
  })

  it('frames of many peers, in all directions at once, never cross', async (stage) => {
    const parties = await Promise.all(['a', 'b', 'c', 'd'].map((id) => stage.start(id)))
    await stage.connect(...parties)
    for (let turn = 0; turn < 60; turn++) {
      for (const from of parties)
        for (const to of parties)
          if (from !== to) from.send(to, [stage.noise(turn * 97), stage.noise(8)], lanes[turn % 2]!)
      if (turn % 5 === 0) await stage.wait(0)
    }
    for (const from of parties) for (const to of parties) if (from !== to) await stage.reach(from, to, 'bulk')
  })

  it('bytes that were handed over are left alone for ever, on either side', async (stage) => {
    const [a, b] = await stage.pair()
    // Whatever is pooled is used again by what follows. The stage compares all bytes at the end.
    for (const size of [1, 40, 900, 30_000])
      for (let n = 0; n < 20; n++) {
        const large = stage.noise(size + 64)
        await stage.deliver(a, b, [large.subarray(32, 32 + size)], lanes[n % 2]!)
        b.send(a, [stage.noise(size)], lanes[n % 2]!)
      }
    for (let n = 0; n < 300; n++) a.send(b, [stage.noise(8192)], 'bulk')
    await stage.reach(a, b, 'bulk')
    await stage.reach(b, a, 'bulk')
  })

  if (subject.orderly)
    it('a quiet network delivers each frame once and keeps the order of each lane', async (stage) => {
      const [a, b] = await stage.pair()
      // Whatever is to be settled between two dials is settled meanwhile.
      await stage.wait(200)
      const sent: Record<Lane, string[]> = { control: [], bulk: [] }
      for (let turn = 0; turn < 40; turn++) {
        for (let n = 0; n < 50; n++)
          for (const lane of lanes) {
            const text = `${lane} ${turn * 50 + n} ${'.'.repeat(n)}`
            sent[lane].push(text)
            a.send(b, [new TextEncoder().encode(text)], lane)
          }
        await stage.wait(0)
      }
      await stage.until(
        () => b.heard.length >= 4000,
        () => `${b.heard.length} of 4000 frames arrive`,
      )
      await stage.wait(20)
      const texts = b.heard.map(({ frame }) => new TextDecoder().decode(frame))
      for (const lane of lanes)
        assert.deepEqual(
          texts.filter((text) => text.startsWith(lane)),
          sent[lane],
        )
    })
}
