import assert from 'node:assert/strict'
import type { Suite } from '../runner.ts'
import type { Child } from './child.ts'
import type { Party } from './party.ts'
import type { Promises, Stage } from './stage.ts'
import type { TransportSubject } from './subject.ts'

/** Peers in processes of their own, which are killed, stopped and told to close. */
export function processPromises(suite: Suite, it: Promises, subject: TransportSubject): void {
  const promise: Promises = subject.program
    ? it
    : (name) => suite.skip(name, 'the subject has no program for child processes')

  for (const [who, survivorDials, victimDials] of [
    ['both dial', true, true],
    ['the survivor dials', true, false],
    ['the victim dials', false, true],
  ] as const)
    promise(`a process that is killed comes back at its address and is heard again: ${who}`, async (stage) => {
      const a = await stage.start('a')
      const peers = victimDials ? [a.peer] : []
      let b = await stage.child({ id: 'b', address: await subject.address(), peers })
      const address = b.address!
      if (survivorDials) a.setPeers({ id: 'b', address })
      for (let life = 0; life < 2; life++) {
        await talk(stage, a, b)
        for (let n = 0; n < 20; n++) a.send('b', [stage.noise(0)], n % 2 ? 'bulk' : 'control')
        await b.kill()
        await stage.until(
          () => a.state('b') === 'down',
          () => `the survivor is told; told were ${a.links.join(', ')}`,
        )
        b = await stage.child({ id: 'b', address, peers })
      }
      await talk(stage, a, b)
    })

  promise('a process that stands still costs the others nothing, and is heard again when it goes on', async (stage) => {
    const a = await stage.start('a')
    const b = await stage.child({ id: 'b', address: await subject.address(), peers: [] })
    a.setPeers({ id: 'b', address: b.address! })
    await talk(stage, a, b)
    b.signal('SIGSTOP')
    const c = await stage.start('c')
    a.setPeers({ id: 'b', address: b.address! }, c)
    for (let n = 0; n < 200; n++) {
      a.send('b', [new Uint8Array(65_536)], 'bulk')
      a.send('b', [new Uint8Array(100)], 'control')
    }
    // It answers each of them, once it goes on.
    a.expects('b', b.answer(new Uint8Array(65_536)))
    a.expects('b', b.answer(new Uint8Array(100)))
    await stage.until(
      () => a.state(c) === 'up' && c.state(a) === 'up',
      () => 'the others connect meanwhile',
    )
    await stage.reach(a, c)
    await stage.reach(c, a)
    b.signal('SIGCONT')
    await talk(stage, a, b)
  })

  promise('after close nothing keeps the process alive, whatever its peers do', async (stage) => {
    const a = await stage.start('a')
    const stopped = await stage.child({ id: 'stopped', address: await subject.address(), peers: [] })
    const gone = await stage.start('gone')
    await stage.close(gone)
    stopped.signal('SIGSTOP')
    for (const peer of [a.peer, { id: 'stopped', address: stopped.address! }, gone.peer]) {
      const b = await stage.child({ id: 'b', address: await subject.address(), peers: [peer] })
      if (peer.id === 'a')
        await stage.until(
          () => a.state('b') === 'up',
          () => 'the child connects',
        )
      else await stage.wait(50)
      b.close()
      await stage.until(
        () => b.closed && b.exitCode !== null,
        () => `the process ends by itself (${b.closed ? 'close has resolved' : 'close is pending'}) ${b.words}`,
      )
      assert.equal(b.exitCode, 0)
    }
  })
}

/** Sends until that very process has answered. */
async function talk(stage: Stage, a: Party, b: Child): Promise<void> {
  const question = stage.noise(30)
  const answer = b.answer(question)
  a.expects('b', answer)
  a.expects('b', b.answer(new Uint8Array(0)))
  let next = 0
  await stage.until(
    () => {
      if (a.hears(answer)) return true
      if (performance.now() > next) {
        next = performance.now() + 50
        a.send('b', [question], 'bulk')
      }
      return false
    },
    () => `the process answers; links told: ${a.links.join(', ')}; ${b.words}`,
  )
}
