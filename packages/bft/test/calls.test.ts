import type { Answer, Ask } from '@raftkit/contract'
import { describe, expect, test } from 'vitest'
import { Calls } from '../src/calls.ts'
import { Own } from '../src/own.ts'
import { founded, sealAs, type World } from './world.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const limits = { proposalBytes: 1000, waitingBytes: 5000 }

/** Calls at m3, whose asks a test answers when it likes. */
function at(world: World): { calls: Calls; asks: Ask[]; settled: object[]; turn: () => void } {
  const { server } = world.machines[3]!
  const calls = new Calls(server, new Own(server.members.list[3]!.key, 1, 1000), limits)
  const [asks, settled]: [Ask[], object[]] = [[], []]
  const turn = (): void => {
    const taken = calls.take()
    asks.push(...taken.asks)
    settled.push(...taken.settled)
  }
  return { calls, asks, settled, turn }
}

const answerTo = (ask: Ask): Answer =>
  ask.type === 'sign'
    ? { type: 'sign', signature: sealAs('m3', ask.bytes) }
    : { type: 'verify', valid: ask.type === 'verify' ? ask.checks.map(() => true) : [] }

function leave(world: World): void {
  world.join('m4')
  world.configure(['m0', 'm1', 'm2', 'm4'], world.machines[1]!)
  world.run(world.now + 3000)
}

describe('the calls of a node that is removed', () => {
  test('did certainly not happen, if nothing of them had left it, whatever they waited for', () => {
    const world = founded(4, 1)
    const { calls, asks, settled, turn } = at(world)
    calls.propose(1, bytes('signed'))
    calls.submit(2, world.request('alice', 1))
    turn()
    expect(asks.map(({ type }) => type)).toEqual(['sign', 'verify'])
    calls.propose(3, bytes('queued'))
    calls.read(4, 'linearizable')
    calls.submit(5, world.request('alice', 2))
    leave(world)
    calls.abandon()
    turn()
    expect(settled).toHaveLength(5)
    for (const one of settled) expect(one).toMatchObject({ type: 'refused', code: 'NOT_A_MEMBER' })
    for (const ask of asks) calls.answered(ask.id, answerTo(ask), world.now)
    turn()
    expect([asks.length, settled.length]).toEqual([2, 5])
  })

  test('may have happened, once their requests were handed on', () => {
    const world = founded(4, 2)
    const { calls, asks, settled, turn } = at(world)
    calls.propose(1, bytes('one'))
    calls.submit(2, world.request('alice', 1))
    turn()
    for (const ask of asks) calls.answered(ask.id, answerTo(ask), world.now)
    expect(calls.take().placed).toHaveLength(2)
    calls.abandon()
    turn()
    expect(settled).toMatchObject([
      { type: 'unknown', id: 1 },
      { type: 'unknown', id: 2 },
    ])
  })
})

test('a node that has seen a fork refuses every call, and ends those that wait', () => {
  const world = founded(4, 4)
  const { calls, settled, turn } = at(world)
  calls.propose(1, bytes('queued'))
  world.machines[3]!.server.isForked = true
  calls.abandon()
  calls.propose(2, bytes('late'))
  calls.read(3, 'linearizable')
  calls.submit(4, world.request('alice', 1))
  turn()
  expect(settled).toHaveLength(4)
  for (const one of settled) expect(one).toMatchObject({ type: 'refused', code: 'DIVERGED' })
})

test('a request that is committed in the very turn in which its signature turns out good has its place', () => {
  const world = founded(4, 5)
  const { calls, asks, settled, turn } = at(world)
  const request = world.request('alice', 1)
  calls.submit(1, request)
  turn()
  world.submit(request)
  world.run(1000)
  calls.answered(asks[0]!.id, answerTo(asks[0]!), world.now)
  calls.executed(world.machines[3]!.log)
  turn()
  expect(settled).toMatchObject([{ type: 'committed', id: 1, index: 2 }])
  // What became of it elsewhere, and is not known here, is told as well.
  calls.submit(2, world.request('alice', 1, ['another']))
  turn()
  calls.answered(asks[1]!.id, answerTo(asks[1]!), world.now)
  calls.executed([])
  turn()
  expect(settled[1]).toMatchObject({ type: 'unknown', id: 2 })
})

describe('what a node proposes by itself', () => {
  test('is one request a turn; once two are on their way, the next ones gather until there is an answer', () => {
    const world = founded(4, 3)
    const { calls, asks, settled, turn } = at(world)
    const place = (): void => {
      for (const ask of asks.splice(0)) calls.answered(ask.id, answerTo(ask), world.now)
    }
    for (const [id, count] of [1, 2, 3, 4].entries()) {
      for (let each = 0; each < count; each++) calls.propose(10 * id + each, bytes(`${id} ${each}`))
      turn()
    }
    calls.read(99, 'linearizable')
    turn()
    expect(asks).toHaveLength(2)
    place()
    const items = calls.take().placed
    for (const item of items) world.submit(item)
    world.run(1000)
    calls.executed(world.machines[3]!.log)
    turn()
    expect(settled).toMatchObject([
      { type: 'committed', id: 0, index: 2 },
      { type: 'committed', id: 10, index: 3 },
      { type: 'committed', id: 11, index: 4 },
    ])
    // The rest, and the barrier of the read.
    place()
    for (const item of calls.take().placed) world.submit(item)
    world.run(2000)
    settled.length = 0
    calls.executed(world.machines[3]!.log)
    turn()
    expect(settled).toHaveLength(8)
    expect(settled.at(-1)).toMatchObject({ type: 'read', id: 99, index: 12 })
  })
})
