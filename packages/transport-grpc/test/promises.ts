/** What the port promises, for any transport. The same file is in the tests of each transport. */
import { createHash } from 'node:crypto'
import { afterEach, describe, expect, test } from 'vitest'
import { closeAll, connect, TestNode, until, up, type World, wait } from './node.ts'

export function describeTransport(name: string, world: World): void {
  describe(`${name} as a transport`, { timeout: 60_000 }, () => {
    const start = (id: string, options?: Parameters<typeof TestNode.start>[2]) => TestNode.start(world, id, options)
    afterEach(closeAll)

    test('frames of every size arrive whole and equal, on both lanes and in both directions', async () => {
      const [a, b] = [await start('a'), await start('b')]
      await connect(a, b)
      const max = a.transport.maxFrameBytes
      expect(max).toBeGreaterThanOrEqual(65_536)
      for (const [from, to] of [
        [a, b],
        [b, a],
      ] as const)
        for (const lane of ['control', 'bulk'] as const)
          for (const size of [0, 1, 127, 128, 65_536, max - 1, max]) {
            const frame = noise(size)
            const parts = [frame.subarray(0, size >> 1), new Uint8Array(0), frame.subarray(size >> 1)]
            const before = to.heard.length
            from.transport.send(to.id, parts, lane)
            await until(() => to.heard.length > before)
            expect(to.heard[before]!.from).toBe(from.id)
            expect(digest(to.heard[before]!.frame)).toBe(digest(frame))
          }
    })

    test('a frame without parts is an empty frame', async () => {
      const [a, b] = [await start('a'), await start('b')]
      await connect(a, b)
      a.transport.send('b', [], 'bulk')
      await until(() => b.heard.length === 1)
      expect(b.heard[0]!.frame.length).toBe(0)
    })

    test('a frame above the limit is dropped, and the stream goes on with the next (B53)', async () => {
      const [a, b] = [await start('a'), await start('b')]
      await connect(a, b)
      a.transport.send('b', [new Uint8Array(a.transport.maxFrameBytes), new Uint8Array(1)], 'bulk')
      a.send(b, 'after', 'bulk')
      await until(() => b.heard.length > 0)
      expect(b.texts).toEqual(['after'])
      expect(a.links).toEqual(['b up'])
      expect(b.links).toEqual(['a up'])
    })

    test('a quiet network keeps the order of each lane', async () => {
      const [a, b] = [await start('a'), await start('b')]
      await connect(a, b)
      for (let turn = 0; turn < 40; turn++) {
        for (let n = 0; n < 50; n++) {
          a.send(b, `c${turn * 50 + n}`, 'control')
          a.transport.send('b', [new TextEncoder().encode(`b${turn * 50 + n}`), new Uint8Array(n)], 'bulk')
        }
        await wait(0)
      }
      await until(() => b.heard.length === 4000)
      const numbers = (lane: string) =>
        b.texts.filter((t) => t.startsWith(lane)).map((t) => Number(/^\w(\d+)/.exec(t)![1]))
      const ascending = Array.from({ length: 2000 }, (_, n) => n)
      expect(numbers('c')).toEqual(ascending)
      expect(numbers('b')).toEqual(ascending)
    })

    test('a control frame overtakes a flood of bulk frames', async () => {
      const [a, b] = [await start('a'), await start('b')]
      await connect(a, b)
      const chunk = new Uint8Array(65_536)
      const chunks = 192
      for (let n = 0; n < chunks; n++) a.transport.send('b', [chunk], 'bulk')
      a.send(b, 'vote')
      await until(() => b.heard.length === chunks + 1)
      const place = b.heard.findIndex(({ frame }) => frame.length === 4)
      expect(place).toBeLessThan(chunks / 2)
    })

    test('what was handed over is never changed afterwards, on either side', async () => {
      const [a, b] = [await start('a'), await start('b')]
      await connect(a, b)
      const sent = Array.from({ length: 200 }, (_, n) => noise(n * 37))
      const digests = sent.map(digest)
      for (const frame of sent) a.transport.send('b', [frame], 'bulk')
      await until(() => b.heard.length === sent.length)
      for (let n = 0; n < 500; n++) a.transport.send('b', [noise(8192)], 'bulk')
      await until(() => b.heard.length === sent.length + 500)
      expect(sent.map(digest)).toEqual(digests)
      expect(b.heard.slice(0, sent.length).map(({ frame }) => digest(frame))).toEqual(digests)
    })

    test('frames to oneself, to strangers and to those not connected yet are dropped', async () => {
      const [a, b] = [await start('a'), await start('b')]
      a.transport.setPeers([a.peer])
      a.send(a, 'me')
      a.send(b, 'you')
      a.transport.send('nobody', [noise(10)], 'bulk')
      await wait(20)
      await connect(a, b)
      a.send(b, 'now')
      await until(() => b.heard.length > 0)
      expect(b.texts).toEqual(['now'])
      expect(a.heard).toEqual([])
    })

    test('both sides admit each other before anything passes', async () => {
      const [a, b] = [await start('a'), await start('b')]
      await connect(a, b)
      expect(new Set(a.admitted)).toEqual(new Set(['b']))
      expect(new Set(b.admitted)).toEqual(new Set(['a']))
    })

    test('a node of another cluster at a reused address gets nothing through, whoever dials (N1)', async () => {
      const [a, alien] = [await start('a', { cluster: 'one' }), await start('b', { cluster: 'two' })]
      a.transport.setPeers([alien.peer])
      alien.transport.setPeers([a.peer])
      await until(() => a.refusals > 0 || alien.refusals > 0)
      for (let n = 0; n < 20; n++) {
        a.send(alien, 'vote')
        alien.send(a, 'vote')
        await wait(10)
      }
      expect([...a.heard, ...alien.heard, ...a.links, ...alien.links]).toEqual([])
    })

    test('a node that answers at the address of another is turned down (N2)', async () => {
      const [a, b, c] = [await start('a'), await start('b'), await start('c')]
      a.transport.setPeers([{ ...c.peer, id: 'b' }])
      await until(() => a.admitted.includes('c'))
      a.transport.send('b', [noise(4)], 'control')
      a.transport.send('c', [noise(4)], 'control')
      await wait(100)
      expect([...b.heard, ...c.heard, ...a.links, ...b.links, ...c.links]).toEqual([])
    })

    test('one that is refused is tried again, and gets in once it is admitted', async () => {
      for (const [dialler, listener, refuses] of [
        ['a', 'b', 'a'],
        ['a', 'b', 'b'],
        ['b', 'a', 'a'],
      ]) {
        const nodes = new Map([
          [dialler!, await start(dialler!, { address: null })],
          [listener!, await start(listener!)],
        ])
        const [from, to, refusing] = [nodes.get(dialler!)!, nodes.get(listener!)!, nodes.get(refuses!)!]
        refusing.admitting = false
        from.transport.setPeers([to.peer])
        await until(() => refusing.refusals >= 2)
        expect([...from.links, ...to.links]).toEqual([])
        refusing.admitting = true
        await up(from, to)
        from.send(to, 'in')
        to.send(from, 'in')
        await until(() => from.heard.length > 0 && to.heard.length > 0)
        await closeAll()
      }
    })

    test('a node without an address dials, and both can send', async () => {
      for (const [dialler, listener] of [
        ['a', 'b'],
        ['b', 'a'],
      ]) {
        const [from, to] = [await start(dialler!, { address: null }), await start(listener!)]
        from.transport.setPeers([to.peer])
        to.transport.setPeers([from.peer])
        await up(from, to)
        to.send(from, 'down')
        from.send(to, 'up')
        await until(() => from.heard.length > 0 && to.heard.length > 0)
        await closeAll()
      }
    })

    test('nodes that dial each other at the same moment end with one link, and a frame arrives once', async () => {
      const nodes = await Promise.all(['a', 'b', 'c', 'd'].map((id) => start(id)))
      await connect(...nodes)
      // Whatever is to be settled between two dials is settled meanwhile.
      await wait(200)
      for (const from of nodes) for (const to of nodes) if (from !== to) from.send(to, `${from.id}>${to.id}`, 'bulk')
      await until(() => nodes.every(({ heard }) => heard.length >= 3))
      await wait(50)
      for (const node of nodes) {
        expect([...node.texts].sort()).toEqual(nodes.filter((n) => n !== node).map((n) => `${n.id}>${node.id}`))
        expect([...node.links].sort()).toEqual(nodes.filter((n) => n !== node).map((n) => `${n.id} up`))
      }
    })

    test('a peer that restarts at its address is connected again by itself, whoever dials', async () => {
      for (const both of [true, false]) {
        const [a, b] = [await start('a'), await start('b')]
        a.transport.setPeers([b.peer])
        if (both) b.transport.setPeers([a.peer])
        await up(a, b)
        for (let life = 0; life < 3; life++) {
          const old = life === 0 ? b : undefined
          if (old) await old.transport.close()
          await until(() => a.state(b) === 'down')
          const again = await start('b', { address: b.peer.address! })
          if (both) again.transport.setPeers([a.peer])
          await up(a, again)
          a.send(again, `life ${life}`)
          again.send(a, `life ${life}`)
          await until(() => again.heard.length === 1 && a.texts.includes(`life ${life}`))
          await again.transport.close()
        }
        await closeAll()
      }
    })

    test('setPeers drops those it no longer names and leaves the others in peace', async () => {
      const [a, b, c] = [await start('a'), await start('b'), await start('c')]
      a.transport.setPeers([b.peer, c.peer])
      await up(a, b)
      await up(a, c)
      a.transport.setPeers([c.peer])
      await until(() => a.state(b) === 'down' && b.state(a) === 'down')
      a.send(b, 'gone')
      a.send(c, 'here')
      await until(() => c.heard.length === 1)
      expect(b.heard).toEqual([])
      expect(a.links.filter((link) => link.startsWith('c'))).toEqual(['c up'])
      a.transport.setPeers([b.peer, c.peer])
      await up(a, b)
    })

    test('a peer that moves to another address is dialled there', async () => {
      const [a, b] = [await start('a'), await start('b')]
      a.transport.setPeers([b.peer])
      await up(a, b)
      const moved = await start('b')
      a.transport.setPeers([moved.peer])
      await until(() => moved.state(a) === 'up' && a.state(moved) === 'up' && b.state(a) === 'down')
      a.send(moved, 'there')
      await until(() => moved.heard.length === 1)
      expect(b.heard).toEqual([])
    })

    test('setPeers may come before start', async () => {
      const b = await start('b')
      const a = world.transport()
      const heard: string[] = []
      a.setPeers([b.peer])
      await a.start(
        { id: 'a' },
        {
          hello: () => new TextEncoder().encode('c/a'),
          admit: () => 'b',
          frame: () => {},
          link: (peer, state) => heard.push(`${peer} ${state}`),
        },
      )
      await until(() => heard.includes('b up'))
      await a.close()
    })

    test('a taken address is refused at start, with what to do', async () => {
      const a = await start('a')
      await expect(start('b', { address: a.peer.address! })).rejects.toMatchObject({ code: 'TRANSPORT_FAILED' })
      await expect(start('b', { address: a.peer.address! })).rejects.toThrow(a.peer.address)
    })

    test('closed means closed: nothing is heard, sending is silent, closing again is harmless', async () => {
      const [a, b] = [await start('a'), await start('b')]
      await connect(a, b)
      const flood = setInterval(() => b.send(a, 'x', 'bulk'), 1)
      await until(() => a.heard.length > 3)
      await Promise.all([a.transport.close(), a.transport.close()])
      const [heard, links] = [a.heard.length, a.links.length]
      a.send(b, 'late')
      a.transport.setPeers([b.peer])
      await until(() => b.state(a) === 'down')
      await wait(100)
      clearInterval(flood)
      expect([a.heard.length, a.links.length]).toEqual([heard, links])
      expect(b.texts).not.toContain('late')
      await a.transport.close()
      await expect(a.transport.start(a.peer, a)).rejects.toMatchObject({ code: 'CLOSED' })
    })

    test('a transport starts once', async () => {
      const a = await start('a')
      await expect(a.transport.start(a.peer, a)).rejects.toMatchObject({ code: 'TRANSPORT_FAILED' })
    })
  })
}

export function noise(size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  let state = size + 1
  for (let n = 0; n < size; n++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) | 0
    bytes[n] = state >>> 16
  }
  return bytes
}

export function digest(bytes: Uint8Array): string {
  return `${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}`
}
