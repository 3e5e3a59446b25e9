import type { PeerStatus } from '@raftkit/contract'
import { describe, expect, test } from 'vitest'
import { peersOf } from '../src/conduct.ts'
import { encodeRequest } from '../src/index.ts'
import { type Fault, fair, founded, submitted, type World } from './world.ts'

const seenBy = (world: World, at: number): PeerStatus[] => peersOf(world.machines[at]!.server, world.now)
const oddities = (peers: readonly PeerStatus[]) => peers.map(({ id, conduct }) => [id, conduct?.oddities])

describe('what a member holds of the others', { timeout: 60_000 }, () => {
  test('is how far each has voted, in which term, and how long it has been silent', () => {
    const world = founded(4, 1)
    submitted(world, 1, 5)
    world.run(1000)
    const { position } = world.machines[1]!.server.committed.entry.header
    const before = seenBy(world, 1)
    expect(before.map(({ id, match }) => [id, match > position])).toEqual([
      ['m0', true],
      ['m2', true],
      ['m3', true],
    ])
    expect(new Set(before.map(({ conduct }) => conduct?.term))).toEqual(new Set([0]))

    world.weather = { ...fair, cut: (from, to) => from === 'm0' || to === 'm0' }
    submitted(world, 6, 5)
    world.run(4000)
    const [m0, m2, m3] = seenBy(world, 1)
    expect([m0, m2, m3].map((peer) => peer?.conduct?.term)).toEqual([0, 1, 1])
    expect(m0?.match).toBe(before[0]?.match)
    expect(m2?.match).toBe(m3?.match)
    expect(m2!.match).toBeGreaterThan(m0!.match)
    expect(m0!.silentFor!).toBeGreaterThan(2000)
    expect(oddities(seenBy(world, 1))).toEqual([
      ['m0', { delay: 1 }],
      ['m2', {}],
      ['m3', {}],
    ])
  })

  test('is nothing of whoever was never heard', () => {
    const world = founded(4, 2, [undefined, undefined, undefined, () => undefined])
    submitted(world, 1, 3)
    world.run(1000)
    expect(seenBy(world, 0).at(-1)).toMatchObject({ id: 'm3', state: 'probe', match: 0, silentFor: undefined })
  })

  test('ends with its epoch: what a liar did is not held against whoever has its number in the next', () => {
    let seq = 0
    const forge: Fault = (message) => {
      if (message.type !== 'vote') return message
      const unsigned = { client: new Uint8Array(32), session: 1, seq: ++seq, operations: [new Uint8Array([6])] }
      return [message, { type: 'forward', requests: [encodeRequest({ ...unsigned, signature: new Uint8Array(32) })] }]
    }
    const world = founded(4, 3, [forge])
    world.join('m4')
    for (let at = 1; at <= 20; at++) {
      submitted(world, at, 1)
      world.run(world.now + 100)
    }
    expect(oddities(seenBy(world, 2))[0]).toEqual(['m0', { signatures: 16 }])
    world.configure(['m1', 'm2', 'm3', 'm4'], world.machines[2]!)
    world.run(world.now + 3000)
    expect(world.machines[2]!.server.members.epoch).toBe(1)
    expect(oddities(seenBy(world, 2))).toEqual([
      ['m1', {}],
      ['m3', {}],
      ['m4', {}],
    ])
  })

  test('says of whom a lie is proved', () => {
    const world = founded(4, 4)
    submitted(world, 1, 2)
    world.run(500)
    const { server } = world.machines[2]!
    server.accusations.convicted.add('m3')
    expect(peersOf(server, 500).map(({ conduct }) => conduct?.convicted)).toEqual([false, false, true])
  })
})
