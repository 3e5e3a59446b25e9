import { describe, expect, it } from 'vitest'
import { clientSession } from '../src/client-session.ts'
import { openEntry, readEntry } from '../src/entry.ts'
import { Sequencer } from './sequencer.ts'
import { deafen, itemsOf, list, setUp, watch } from './session-world.ts'
import { VirtualWorld } from './virtual-world.ts'

describe('Q9: an evicted session', () => {
  /** Opens so many sessions of others that everyone else is evicted. */
  const evict = (sequencer: Sequencer): void => {
    sequencer.place(openEntry(new Uint8Array(16).fill(201), 1))
  }

  it('is replaced in silence when the call was certainly not executed', async () => {
    const { world, sequencer, session } = setUp()
    const first = watch(session.call('append', 'a'))
    await world.run()
    evict(sequencer)
    const later = [watch(session.call('append', 'b')), watch(session.call('append', 'c'))]
    await world.run()
    expect(first.value).toBe(1)
    expect(later.every((call) => call.error === undefined)).toBe(true)
    expect(itemsOf(sequencer.machine).sort()).toEqual(['a', 'b', 'c'])
  })

  it('ends a call that an earlier attempt may have executed: expired, unknown, and not executed again', async () => {
    const world = new VirtualWorld(1)
    const sequencer = new Sequencer(world, list)
    const session = clientSession({
      propose: deafen(sequencer, 1),
      environment: world,
      attemptTimeout: 100,
      applied: () => sequencer.machine.applied,
    })
    const call = watch(session.call('append', 'a'))
    await world.run(50)
    expect(itemsOf(sequencer.machine)).toEqual(['a'])
    evict(sequencer)
    await world.run()
    expect(call.error).toMatchObject({ code: 'SESSION_EXPIRED', outcome: 'unknown' })
    expect(itemsOf(sequencer.machine)).toEqual(['a'])
    const next = watch(session.call('append', 'b'))
    await world.run()
    expect(next.value).toBe(2)
  })

  it('ends a call that a duplicate on its way may have executed', async () => {
    const { world, sequencer, session } = setUp()
    const first = watch(session.call('append', 'a'))
    await world.run()
    // The first copy is executed, then the session goes, then the second copy finds it gone: its answer arrives first.
    let copies = 0
    sequencer.onPlace = (data) => {
      const entry = readEntry(data)
      if (entry.type !== 'command' || copies++ > 0) return
      sequencer.onPlace = () => {}
      sequencer.place(data)
      evict(sequencer)
    }
    const second = watch(session.call('append', 'b'))
    await world.run()
    expect(first.value).toBe(1)
    expect(second.error).toMatchObject({ code: 'SESSION_EXPIRED', outcome: 'unknown' })
    expect(itemsOf(sequencer.machine)).toEqual(['a', 'b'])
  })

  it('is never guessed about by a client that does not know how far the log is', async () => {
    const world = new VirtualWorld(1)
    const sequencer = new Sequencer(world, list)
    const session = clientSession({ propose: sequencer.propose, environment: world })
    const first = watch(session.call('append', 'a'))
    await world.run()
    evict(sequencer)
    const second = watch(session.call('append', 'b'))
    await world.run()
    expect(first.value).toBe(1)
    expect(second.error).toMatchObject({ code: 'SESSION_EXPIRED', outcome: 'unknown' })
    expect(itemsOf(sequencer.machine)).toEqual(['a'])
  })
})
