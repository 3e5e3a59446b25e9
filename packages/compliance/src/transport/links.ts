import assert from 'node:assert/strict'
import type { Suite } from '../runner.ts'
import type { Promises } from './stage.ts'
import type { TransportSubject } from './subject.ts'

/** Who dials whom, and what becomes of links. */
export function linkPromises(suite: Suite, it: Promises, subject: TransportSubject): void {
  it('a node without an address dials, and both can send', async (stage) => {
    for (const [dialler, listener] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const) {
      const [from, to] = [await stage.start(dialler, { address: null }), await stage.start(listener)]
      to.setPeers(from)
      from.setPeers(to)
      await stage.up(from, to)
      await stage.reach(to, from)
      await stage.reach(from, to, 'bulk')
      await Promise.all([stage.close(from), stage.close(to)])
    }
  })

  it('whoever dials, one dial is enough for both', async (stage) => {
    const [a, b] = [await stage.start('a'), await stage.start('b')]
    b.setPeers(a)
    await stage.up(a, b)
    await stage.reach(a, b)
    await stage.reach(b, a)
  })

  it('nodes that dial each other at the same moment end with one link, and nothing is left of it when both let go', async (stage) => {
    const parties = await Promise.all(['a', 'b', 'c'].map((id) => stage.start(id)))
    for (let round = 0; round < 3; round++) {
      await stage.connect(...parties)
      await stage.wait(60)
      await stage.up(...parties)
      for (const from of parties) for (const to of parties) if (from !== to) await stage.reach(from, to, 'bulk')
      for (const party of parties) party.setPeers()
      for (const from of parties) for (const to of parties) if (from !== to) await stage.down(from, to)
      await stage.wait(30)
      const count = () => parties.reduce((sum, { heardCount }) => sum + heardCount, 0)
      const before = count()
      for (const from of parties) for (const to of parties) if (from !== to) from.send(to, [stage.noise(9)], 'control')
      await stage.wait(50)
      assert.equal(count(), before, 'a frame passed over a link that both sides let go')
    }
  })

  if (subject.orderly)
    it('nodes that dial each other at the same moment hear each frame once, and of each link once', async (stage) => {
      const parties = await Promise.all(['a', 'b', 'c', 'd'].map((id) => stage.start(id)))
      await stage.connect(...parties)
      await stage.wait(200)
      for (const from of parties) for (const to of parties) if (from !== to) from.send(to, [stage.noise(9)], 'bulk')
      await stage.until(
        () => parties.every(({ heard }) => heard.length >= 3),
        () => 'all frames arrive',
      )
      await stage.wait(50)
      for (const { id, heard, links } of parties) {
        const others = parties.map((party) => party.id).filter((other) => other !== id)
        assert.deepEqual(heard.map(({ from }) => from).sort(), others)
        assert.deepEqual(
          [...links].sort(),
          others.map((other) => `${other} up`),
        )
      }
    })

  it('setPeers drops those it no longer names and leaves the others in peace', async (stage) => {
    const [a, b, c] = [await stage.start('a'), await stage.start('b'), await stage.start('c')]
    a.setPeers(b, c)
    await stage.up(a, b)
    await stage.up(a, c)
    a.setPeers(c)
    await stage.down(a, b)
    await stage.down(b, a)
    const before = b.heard.length
    a.send(b, [stage.noise(10)], 'control')
    await stage.reach(a, c)
    await stage.wait(50)
    assert.equal(b.heard.length, before, 'a frame reached a peer that was dropped')
    assert.deepEqual(
      a.links.filter((line) => line.startsWith('c ')),
      ['c up'],
    )
    a.setPeers(b, c)
    await stage.up(a, b)
    await stage.reach(a, b)
  })

  it('setPeers again and again with the same peers changes nothing', async (stage) => {
    const [a, b] = [await stage.start('a'), await stage.start('b')]
    a.setPeers(b)
    await stage.up(a, b)
    for (let n = 0; n < 20; n++) {
      a.setPeers(b, a, { id: 'no address' })
      await stage.wait(1)
    }
    await stage.reach(a, b)
    assert.deepEqual([a.links, b.links], [['b up'], ['a up']])
  })

  it('a peer that moves to another address is dialled there', async (stage) => {
    const [a, b] = [await stage.start('a'), await stage.start('b')]
    a.setPeers(b)
    await stage.up(a, b)
    const moved = await stage.start('b')
    a.setPeers(moved)
    await stage.until(
      () => moved.state(a) === 'up' && b.state(a) === 'down' && a.state(moved) === 'up',
      () => `a is up at the new address and down at the old; told were ${a.links.join(', ')}`,
    )
    const before = b.heard.length
    await stage.reach(a, moved)
    assert.equal(b.heard.length, before, 'a frame reached the old address')
  })

  it('an address where nobody listens is tried until somebody does', async (stage) => {
    const gone = await stage.start('b')
    const at = gone.address!
    await stage.close(gone)
    const a = await stage.start('a')
    a.setPeers({ id: 'b', address: at })
    await stage.wait(150)
    assert.deepEqual(a.links, [])
    const b = await stage.open(stage.party('b'), at)
    await stage.up(a, b)
    await stage.reach(a, b)
  })

  for (const [who, both] of [
    ['by one', false],
    ['by both', true],
  ] as const)
    it(`a peer that restarts at its address is connected again by itself, when dialled ${who}`, async (stage) => {
      const a = await stage.start('a')
      let b = await stage.start('b')
      const at = b.address!
      a.setPeers(b)
      if (both) b.setPeers(a)
      for (let life = 0; life < 3; life++) {
        await stage.up(a, b)
        await stage.reach(a, b)
        await stage.reach(b, a, 'bulk')
        await stage.close(b)
        await stage.down(a, b)
        b = await stage.open(stage.party('b'), at)
        if (both) b.setPeers(a)
      }
      await stage.up(a, b)
    })

  it('a new life of a peer takes over from the old one, of whose end nobody has heard', async (stage) => {
    const [a, old] = [await stage.start('a'), await stage.start('b')]
    a.setPeers(old)
    await stage.up(a, old)
    const b = await stage.start('b')
    b.setPeers(a)
    await stage.up(a, b)
    await stage.reach(a, b)
    await stage.reach(b, a)
  })

  const cut = 'a wire that is cut is down on both sides, and comes up again with a new hello'
  if (!subject.wire) suite.skip(cut, 'the subject has no wire')
  else
    it(cut, async (stage) => {
      const { a, b, wire } = await stage.wired()
      for (let n = 1; n <= 3; n++) {
        const [hellos, downs] = [a.admitted.length, (party: typeof a) => party.links.filter((l) => l.endsWith('down'))]
        wire.cut()
        await stage.until(
          () => downs(a).length === n && downs(b).length === n,
          () => `both are told of cut ${n}; told were ${[...a.links, ...b.links].join(', ')}`,
        )
        await stage.up(a, b)
        assert.ok(a.admitted.length > hellos, 'the new connection is admitted anew')
        await stage.reach(a, b)
        await stage.reach(b, a, 'bulk')
      }
    })
}
