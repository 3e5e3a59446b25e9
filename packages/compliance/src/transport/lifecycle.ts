import assert from 'node:assert/strict'
import { rejects } from '../check.ts'
import type { Suite } from '../runner.ts'
import type { Promises } from './stage.ts'
import type { TransportSubject } from './subject.ts'

/** What each call does before start, while running, while closing, and afterwards. */
export function lifecyclePromises(suite: Suite, it: Promises, subject: TransportSubject): void {
  it('it follows this contract', async (stage) => {
    assert.equal(stage.party('a').transport.contract, 1)
  })

  it('setPeers may come before start, and send is silent', async (stage) => {
    const [a, b] = [stage.party('a'), await stage.start('b')]
    a.setPeers(b)
    a.send(b, [stage.noise(10)], 'control')
    a.send(b, [stage.noise(10)], 'bulk')
    await stage.open(a)
    await stage.up(a, b)
    await stage.reach(a, b)
    assert.ok(
      b.heard.every(({ frame }) => frame.length === 40),
      'a frame from before start arrived',
    )
  })

  it('once start has resolved, others can connect', async (stage) => {
    const b = await stage.start('b')
    b.setPeers({ id: 'a' })
    for (let n = 0; n < 5; n++) {
      const a = await stage.start('a', { address: null })
      a.setPeers(b)
      await stage.up(a, b)
      await stage.close(a)
      await stage.down(b, a)
    }
  })

  it('a taken address is refused at start, and costs the owner nothing', async (stage) => {
    const [a, b] = await stage.pair()
    const late = stage.party('c')
    await rejects(
      late.transport.start({ id: 'c', address: a.address! }, late),
      'TRANSPORT_FAILED',
      'start at a taken address',
    )
    await stage.close(late)
    await stage.reach(b, a)
    assert.deepEqual([a.links, b.links], [['b up'], ['a up']])
  })

  it('it starts once', async (stage) => {
    const a = await stage.start('a')
    await rejects(a.transport.start(a.peer, a), ['TRANSPORT_FAILED', 'CLOSED'], 'a second start')
    const b = await stage.start('b')
    b.setPeers(a)
    await stage.up(a, b)
  })

  it('close before start resolves, and start is then refused', async (stage) => {
    const a = stage.party('a')
    await stage.close(a)
    a.setPeers({ id: 'b', address: 'nowhere' })
    a.send('b', [stage.noise(4)], 'control')
    await rejects(
      a.transport.start({ id: 'a', address: await subject.address() }, a),
      ['CLOSED', 'TRANSPORT_FAILED'],
      'start after close',
    )
  })

  it('close while it starts ends both', async (stage) => {
    const a = stage.party('a')
    const starting = a.transport.start({ id: 'a', address: await subject.address() }, a).then(
      () => undefined,
      () => undefined,
    )
    await stage.close(a)
    await starting
  })

  it('close while it dials resolves', async (stage) => {
    const gone = await stage.start('gone')
    await stage.close(gone)
    const [b, c] = [await stage.start('b'), await stage.start('c')]
    c.admitting = false
    for (const delay of [0, 1, 5, 30]) {
      const a = await stage.start('a')
      a.setPeers({ id: 'gone', address: gone.address! }, b, c)
      if (delay > 0) await stage.wait(delay)
      await stage.close(a)
    }
    await stage.wait(50)
  })

  it('closed means closed: nothing is heard, sending is silent, and the peer is told', async (stage) => {
    const [a, b] = await stage.pair()
    await stage.reach(b, a)
    let flooding = true
    const flood = (async () => {
      while (flooding) {
        for (let n = 0; n < 20; n++) {
          b.send(a, [stage.noise(5000)], 'bulk')
          b.send(a, [stage.noise(50)], 'control')
          a.send(b, [stage.noise(5000)], 'bulk')
        }
        await stage.wait(0)
      }
    })()
    await stage.wait(20)
    await Promise.all([stage.close(a), stage.close(a)])
    const late = stage.noise(333)
    a.send(b, [late], 'control')
    a.setPeers(b)
    await stage.down(b, a)
    await stage.wait(150)
    flooding = false
    await flood
    assert.ok(!b.hears(late), 'a frame that was sent after close arrived')
    await stage.close(a)
    await rejects(a.transport.start(a.peer, a), ['CLOSED', 'TRANSPORT_FAILED'], 'start after close')
  })

  it('close from within a call to the receiver is as good as any', async (stage) => {
    for (const lane of ['control', 'bulk'] as const) {
      const [a, b] = await stage.pair()
      let closing: Promise<void> | undefined
      const hear = a.frame.bind(a)
      a.frame = (from, frame) => {
        hear(from, frame)
        closing ??= stage.close(a)
      }
      await stage.until(
        () => {
          for (let n = 0; n < 50; n++) b.send(a, [stage.noise(100)], lane)
          return closing !== undefined
        },
        () => 'a frame arrives',
      )
      await closing
      await stage.down(b, a)
      await stage.close(b)
    }
  })

  it('its address is free once close has resolved', async (stage) => {
    let a = await stage.start('a')
    const at = a.address!
    for (let n = 0; n < 5; n++) {
      await stage.close(a)
      a = await stage.open(stage.party('a'), at)
    }
  })

  const blocked = 'close ends although peers do not read'
  if (!subject.wire) suite.skip(blocked, 'the subject has no wire')
  else
    it(blocked, async (stage) => {
      const { a, b, wire } = await stage.wired({ keeps: false })
      wire.block()
      for (let n = 0; n < 300; n++) {
        a.send(b, [new Uint8Array(65_536)], 'bulk')
        b.send(a, [new Uint8Array(65_536)], n % 2 ? 'bulk' : 'control')
      }
      await stage.wait(20)
      await Promise.all([stage.close(a), stage.close(b)])
      wire.unblock()
      await stage.wait(50)
    })
}
