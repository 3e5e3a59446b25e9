import assert from 'node:assert/strict'
import type { Promises } from './stage.ts'

/** Hello comes first on every connection, both ways; admit decides, and names. */
export function greetingPromises(it: Promises): void {
  it('hello goes both ways and is admitted before anything passes', async (stage) => {
    const [a, b] = await stage.pair()
    await stage.reach(a, b)
    await stage.reach(b, a)
    assert.ok(a.hellos > 0 && b.hellos > 0, 'hello is asked of both sides')
    assert.deepEqual(new Set(a.admitted.map(({ id }) => id)), new Set(['b']))
    assert.deepEqual(new Set(b.admitted.map(({ id }) => id)), new Set(['a']))
  })

  it('hellos of every size up to 4 KiB arrive as they were said', async (stage) => {
    for (const size of [0, 1, 1000, 4000]) {
      const [a, b] = [await stage.start('a'), await stage.start('b')]
      a.padding = 'a'.repeat(size)
      b.padding = 'é'.repeat(size / 2)
      a.setPeers(b)
      await stage.up(a, b)
      assert.ok(b.admitted.at(-1)?.hello.endsWith(`/${a.padding}`))
      assert.ok(a.admitted.at(-1)?.hello.endsWith(`/${b.padding}`))
      await Promise.all([stage.close(a), stage.close(b)])
    }
  })

  it('every connection begins with a hello of its own, asked for at that time', async (stage) => {
    const a = await stage.start('a')
    let b = await stage.start('b')
    const at = b.address!
    a.setPeers(b)
    await stage.up(a, b)
    for (let life = 2; life < 4; life++) {
      await stage.close(b)
      await stage.down(a, b)
      const said = a.hellos
      b = stage.party('b')
      b.padding = `life ${life}`
      await stage.open(b, at)
      await stage.up(a, b)
      assert.ok(a.admitted.at(-1)?.hello.endsWith(`life ${life}`), 'the new life is admitted by its own hello')
      const heard = Number(b.admitted.at(-1)?.hello.split('/')[2])
      assert.ok(heard > said, 'the new life hears a new hello, not one that was kept')
      await stage.reach(a, b)
    }
  })

  it('a node of another cluster at a reused address gets nothing through, whoever dials', async (stage) => {
    const [a, alien] = [await stage.start('a', { cluster: 'one' }), await stage.start('b', { cluster: 'two' })]
    a.setPeers(alien)
    alien.setPeers(a)
    await stage.until(
      () => a.refusals + alien.refusals > 1,
      () => 'one of them is asked to admit the other, and again after a refusal',
    )
    for (let n = 0; n < 20; n++) {
      a.send(alien, [stage.noise(10)], 'control')
      alien.send(a, [stage.noise(10)], 'bulk')
      await stage.wait(5)
    }
    assert.deepEqual([...a.heard, ...alien.heard], [], 'no frame passes')
    assert.deepEqual([...a.links, ...alien.links], [], 'no link comes up')
  })

  for (const [who, dialler, refuses] of [
    ['the dialler', 'a', 'a'],
    ['the one that is dialled', 'a', 'b'],
    ['a dialler of the larger id', 'b', 'b'],
    ['one of the smaller id that is dialled', 'b', 'a'],
  ] as const)
    it(`what ${who} refuses is closed and passes nothing; it is tried again and gets in once admitted`, async (stage) => {
      const one = await stage.start('a', dialler === 'a' ? { address: null } : {})
      const two = await stage.start('b', dialler === 'b' ? { address: null } : {})
      const [from, to] = dialler === 'a' ? [one, two] : [two, one]
      const refusing = refuses === 'a' ? one : two
      const other = refusing === one ? two : one
      refusing.admitting = false
      from.setPeers(to)
      await stage.until(
        () => refusing.refusals >= 2,
        () => `the peer that was refused is tried again (${refusing.refusals} refusals)`,
      )
      for (let n = 0; n < 5; n++) {
        other.send(refusing, [stage.noise(10)], 'control')
        refusing.send(other, [stage.noise(10)], 'bulk')
        await stage.wait(5)
      }
      assert.deepEqual(refusing.links, [], 'a refused peer has no link')
      assert.deepEqual([refusing.heard.length, other.heard.length], [0, 0], 'nothing passes')
      refusing.admitting = true
      // Whoever was refused may have believed in a link for a moment.
      await stage.up(from, to)
      await stage.reach(from, to)
      await stage.reach(to, from, 'bulk')
    })

  it('the name that admit gives is the one that is used', async (stage) => {
    const [a, b] = [await stage.start('a', { address: null, knownAs: 'visitor 7' }), await stage.start('b')]
    a.setPeers(b)
    await stage.up(a, b)
    assert.deepEqual(b.links, ['visitor 7 up'])
    await stage.reach(a, b)
    await stage.reach(b, a)
    assert.deepEqual(new Set(b.heard.map(({ from }) => from)), new Set(['visitor 7']))
  })

  it('who answers at the address of another is not taken for it', async (stage) => {
    const [a, b, c] = [await stage.start('a'), await stage.start('b'), await stage.start('c')]
    a.setPeers({ id: 'b', address: c.address! })
    await stage.until(
      () => a.admitted.some(({ id }) => id === 'c') || c.admitted.some(({ id }) => id === 'a'),
      () => 'the one that answers is asked for its hello',
    )
    for (let n = 0; n < 10; n++) {
      a.send('b', [stage.noise(4)], 'control')
      a.send('b', [stage.noise(4)], 'bulk')
      await stage.wait(10)
    }
    assert.equal(a.state('b'), 'down', 'b is not connected')
    assert.deepEqual([b.heard.length, c.heard.length], [0, 0], 'what was sent to b reaches nobody')
  })

  it('a hello that throws costs that attempt and nothing else', async (stage) => {
    for (const mute of ['a', 'b']) {
      const [a, b] = [await stage.start('a'), await stage.start('b')]
      const quiet = mute === 'a' ? a : b
      quiet.greeting = false
      a.setPeers(b)
      await stage.wait(100)
      assert.deepEqual([...a.links, ...b.links], [], 'nothing comes up without a hello')
      quiet.greeting = true
      await stage.up(a, b)
      await stage.reach(a, b)
      await Promise.all([stage.close(a), stage.close(b)])
    }
  })
}
