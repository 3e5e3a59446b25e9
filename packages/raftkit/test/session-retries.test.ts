import { RaftkitError } from '@raftkit/contract'
import { describe, expect, it } from 'vitest'
import { clientSession } from '../src/client-session.ts'
import { openEntry, readEntry } from '../src/entry.ts'
import { calm, Sequencer } from './sequencer.ts'
import { deafen, itemsOf, list, setUp, watch } from './session-world.ts'
import { VirtualWorld } from './virtual-world.ts'

describe('retries', () => {
  it('Q8: a command whose leader dies before it can answer is executed once, and the retry gets the same answer', async () => {
    const world = new VirtualWorld(1)
    const sequencer = new Sequencer(world, list)
    const session = clientSession({ propose: deafen(sequencer, 3), environment: world, attemptTimeout: 100 })
    const call = watch(session.call('append', 'once'))
    await world.run()
    expect(call.value).toBe(1)
    expect(itemsOf(sequencer.machine)).toEqual(['once'])
    expect(sequencer.log.length).toBe(5)
  })

  it('B56: a call whose attempt never settles, as when a snapshot overtook its entry, settles all the same', async () => {
    const world = new VirtualWorld(1)
    const sequencer = new Sequencer(world, list)
    let overtaken: Uint8Array | undefined
    const session = clientSession({
      environment: world,
      attemptTimeout: 100,
      propose: (data, signal) => {
        if (readEntry(data).type !== 'command' || overtaken) return sequencer.propose(data, signal)
        overtaken = data
        sequencer.place(data)
        return new Promise(() => {})
      },
    })
    const call = watch(session.call('appendOrRefuse', 'a'))
    await world.run()
    expect(call.error).toMatchObject({ name: 'Refusal', details: 1 })
    expect(itemsOf(sequencer.machine)).toEqual(['a'])
  })

  it('Q10: "not the leader", "no leader", "overloaded" and the like do not end a call', async () => {
    for (const code of ['NO_LEADER', 'NOT_LEADER', 'OVERLOADED', 'TRANSFERRING', 'SUPERSEDED', 'TIMEOUT'] as const) {
      const world = new VirtualWorld(1)
      const sequencer = new Sequencer(world, list)
      let left = 6
      const session = clientSession({
        environment: world,
        propose: (data, signal) =>
          left-- > 0
            ? Promise.reject(new RaftkitError(code, 'no', { outcome: 'refused' }))
            : sequencer.propose(data, signal),
      })
      const call = watch(session.call('append', 'a'))
      await world.run()
      expect(call.value).toBe(1)
    }
  })

  it('Q10: what certainly did not happen is refused, what may have happened is unknown, and the error says which', async () => {
    const outcomes: unknown[] = []
    for (const [code, outcome] of [
      ['NO_LEADER', 'refused'],
      ['UNKNOWN_OUTCOME', 'unknown'],
      ['NOT_LEADER', undefined],
    ] as const) {
      const world = new VirtualWorld(1)
      const sequencer = new Sequencer(world, list)
      const session = clientSession({
        environment: world,
        timeout: 500,
        propose: (data, signal) =>
          readEntry(data).type === 'open'
            ? sequencer.propose(data, signal)
            : Promise.reject(new RaftkitError(code, 'no', { ...(outcome && { outcome }), leaderHint: 'n2' })),
      })
      const call = watch(session.call('append', 'a'))
      await world.run()
      expect(call.error).toMatchObject({ code: 'TIMEOUT', leaderHint: 'n2', cause: { code } })
      outcomes.push((call.error as RaftkitError).outcome, (call.error as RaftkitError).retryable)
    }
    expect(outcomes).toEqual(['refused', true, 'unknown', false, 'unknown', false])
  })

  it('Q10: a refusal does not unmake an earlier attempt that may have been placed', async () => {
    const world = new VirtualWorld(1)
    const sequencer = new Sequencer(world, list)
    let attempt = 0
    const session = clientSession({
      environment: world,
      propose: (data, signal) => {
        if (readEntry(data).type === 'open') return sequencer.propose(data, signal)
        return Promise.reject(
          attempt++ === 0
            ? new RaftkitError('UNKNOWN_OUTCOME', 'gone', { outcome: 'unknown' })
            : new RaftkitError('TOO_LARGE', 'too large', { outcome: 'refused' }),
        )
      },
    })
    const call = watch(session.call('append', 'a'))
    await world.run()
    expect(call.error).toMatchObject({ code: 'TOO_LARGE', outcome: 'unknown', message: 'TOO_LARGE: too large' })
  })

  it('Q11: an entry that lost its place to that of another term is sent again, and executed once', async () => {
    const world = new VirtualWorld(1)
    const sequencer = new Sequencer(world, list)
    let left = 1
    const session = clientSession({
      environment: world,
      propose: (data, signal) => {
        if (readEntry(data).type === 'open' || left-- <= 0) return sequencer.propose(data, signal)
        sequencer.place(openEntry(new Uint8Array(16).fill(9), 100))
        return Promise.reject(new RaftkitError('SUPERSEDED', 'another entry stands there', { outcome: 'refused' }))
      },
    })
    const call = watch(session.call('append', 'a'))
    await world.run()
    expect(call.value).toBe(1)
    expect(itemsOf(sequencer.machine)).toEqual(['a'])
  })

  it('end at an error that no retry cures, which a program may have thrown, too', async () => {
    const world = new VirtualWorld(1)
    const sequencer = new Sequencer(world, list)
    const failures = [
      () => Promise.reject(new RaftkitError('TOO_LARGE', 'too large', { outcome: 'refused' })),
      () => Promise.reject(new TypeError('a bug')),
      () => {
        throw new TypeError('a bug')
      },
      async () => Uint8Array.of(77),
    ]
    const session = clientSession({
      environment: world,
      propose: (data, signal) =>
        readEntry(data).type === 'open' ? sequencer.propose(data, signal) : failures.shift()!(),
    })
    const calls = failures.map((_, i) => watch(session.call('append', `${i}`)))
    await world.run()
    expect(calls.map(({ error }) => [(error as RaftkitError).code, (error as RaftkitError).outcome])).toEqual([
      ['TOO_LARGE', 'refused'],
      ['UNKNOWN_OUTCOME', 'unknown'],
      ['UNKNOWN_OUTCOME', 'unknown'],
      ['UNKNOWN_OUTCOME', 'unknown'],
    ])
  })

  it('that only wait for the session are refused for certain when their time is over', async () => {
    const { world, sequencer, session } = setUp({}, { lost: 1 })
    const calls = [
      watch(session.call('append', 'a', { timeout: 300 })),
      watch(session.call('append', 'b', { timeout: 500 })),
    ]
    await world.run()
    for (const { error } of calls) expect(error).toMatchObject({ code: 'TIMEOUT', outcome: 'refused' })
    expect(world.now()).toBe(500)
    sequencer.weather = calm
    const later = watch(session.call('append', 'c'))
    await world.run()
    expect(later.value).toBe(1)
    expect(sequencer.machine.sessions).toBe(1)
  })

  it('find the session that a lost answer opened, so that none leaks', async () => {
    const world = new VirtualWorld(1)
    const sequencer = new Sequencer(world, list)
    let left = 5
    const session = clientSession({
      environment: world,
      attemptTimeout: 50,
      propose: (data, signal) => {
        if (readEntry(data).type !== 'open' || left-- <= 0) return sequencer.propose(data, signal)
        sequencer.place(data)
        return new Promise(() => {})
      },
    })
    const call = watch(session.call('append', 'a'))
    await world.run()
    expect(call.value).toBe(1)
    expect(sequencer.machine.sessions).toBe(1)
  })

  it('find the session whose opening nobody waited for any more', async () => {
    const { world, sequencer, session } = setUp({}, { replyLost: 1 })
    const first = watch(session.call('append', 'a', { timeout: 50 }))
    await world.run()
    expect(first.error).toMatchObject({ code: 'TIMEOUT', outcome: 'refused' })
    expect(sequencer.machine.sessions).toBe(1)
    sequencer.weather = calm
    const second = watch(session.call('append', 'b'))
    await world.run()
    expect(second.value).toBe(1)
    expect(sequencer.machine.sessions).toBe(1)
  })

  it('tell whoever places an entry when its answer is not waited for any more', async () => {
    const world = new VirtualWorld(1)
    const sequencer = new Sequencer(world, list)
    const signals: AbortSignal[] = []
    const session = clientSession({
      environment: world,
      attemptTimeout: 100,
      propose: (data, signal) => {
        if (readEntry(data).type === 'open') return sequencer.propose(data, signal)
        signals.push(signal)
        return new Promise(() => {})
      },
    })
    const controller = new AbortController()
    const call = watch(session.call('append', 'a', { signal: controller.signal }))
    await world.run(250)
    expect(signals.map((signal) => signal.aborted)).toEqual([true, true, false])
    controller.abort()
    await world.run()
    expect(signals.map((signal) => signal.aborted)).toEqual([true, true, true])
    expect(call.error).toMatchObject({ code: 'ABORTED', outcome: 'unknown' })
  })

  it('are not made where the caller asks for one attempt: executed at most once, though the network repeats it', async () => {
    const { world, sequencer, session } = setUp({}, { duplicated: 1 })
    const done = watch(session.call('append', 'a', { retry: false }))
    await world.run()
    expect(done.value).toBe(1)
    sequencer.weather = { ...calm, error: 1, lost: 1 }
    const lost = watch(session.call('append', 'b', { retry: false }))
    await world.run()
    expect(lost.error).toMatchObject({ code: 'UNKNOWN_OUTCOME', outcome: 'unknown' })
    sequencer.weather = { ...calm, refused: 1 }
    const refused = watch(session.call('append', 'c', { retry: false }))
    await world.run()
    expect(refused.error).toMatchObject({ outcome: 'refused' })
    sequencer.weather = { ...calm, delay: 1_000 }
    const slow = watch(session.call('append', 'd', { retry: false }))
    await world.run()
    expect(slow.value).toBe(2)
    expect(itemsOf(sequencer.machine)).toEqual(['a', 'd'])
  })
})
