import { readFileSync } from 'node:fs'
import type { Protocol, ProtocolEvent, ProtocolKind, StateMachine } from '@raftkit/contract'
import { raft } from '@raftkit/core'
import { memoryStorage } from '@raftkit/storage-memory'
import { memoryNetwork } from '@raftkit/transport-memory'
import { describe, expect, test } from 'vitest'
import { createNode, type Node } from '../src/index.ts'
import { bytes, Journal } from './journal.ts'

/** Raft, watched: is anything else run between the first step of a turn and its take? Is a step ever taken inside another? */
function watched(faults: string[]): ProtocolKind {
  const kind = raft as ProtocolKind
  return {
    name: kind.name,
    open(init) {
      const opening = kind.open(init)
      return {
        snapshot: opening.snapshot,
        load: (run) => opening.load(run),
        start: (now) => watch(opening.start(now), faults),
      }
    },
  }
}

function watch(inner: Protocol, faults: string[]): Protocol {
  let inside = false
  let since = Number.NEGATIVE_INFINITY
  let turn: { microtasks: number } | undefined
  const enter = <T>(what: string, now: number, run: () => T): T => {
    if (inside) faults.push(`${what} inside another call`)
    if (now < since) faults.push(`${what} at ${now}, after ${since}`)
    if (turn && turn.microtasks > 0) faults.push(`something ran between the first step of a turn and ${what}`)
    since = now
    inside = true
    try {
      return run()
    } finally {
      inside = false
    }
  }
  return {
    step(event: ProtocolEvent, now: number) {
      if (!turn) {
        const begun = { microtasks: 0 }
        turn = begun
        void Promise.resolve().then(() => begun.microtasks++)
      }
      enter(event.type, now, () => inner.step(event, now))
    },
    take(now: number) {
      const effects = enter('take', now, () => inner.take(now))
      turn = undefined
      return effects
    },
    encode: (message) => inner.encode(message),
    decode: (data) => inner.decode(data),
    status: () => inner.status(),
    digest: (rename) => inner.digest(rename),
    fork(): never {
      throw new Error('not in a runtime')
    },
  }
}

describe('one owner of the state (B18, B19)', () => {
  test('no await stands in the turn: neither host nor replica steps from asynchronous code', () => {
    for (const file of ['replica.ts', 'host.ts']) {
      const source = readFileSync(new URL(`../src/${file}`, import.meta.url), 'utf8')
      const turns = source
        .split(/\n {2}(?=[#a-z])/)
        .filter((member) => /^(#turn|turn|settle|#step\w*|#time|frame|link)\(/.test(member))
      expect(turns.length).toBeGreaterThanOrEqual(3)
      for (const member of turns) expect(member).not.toMatch(/\bawait\b|\basync\b/)
    }
  })

  test('under load from every side, steps of a turn are never interleaved with anything, and time never goes back', async () => {
    const faults: string[] = []
    const network = memoryNetwork({ seed: 3 })
    network.weather({ delay: [0, 3], duplicate: 0.1 })
    const members = { n1: 'a1', n2: 'a2', n3: 'a3' }
    const nodes: Node<StateMachine>[] = []
    let echoed = 0
    for (const id of Object.keys(members)) {
      const node = await createNode<StateMachine>({
        id,
        cluster: 'owner',
        machine: new Journal(),
        members,
        storage: memoryStorage({ durable: true }),
        transport: network.transport(),
        protocol: watched(faults),
        timing: { electionTimeout: 200, heartbeatInterval: 10 },
        snapshots: { everyEntries: 50 },
        closeTimeout: 0,
      })
      // A listener that calls back into the node, from inside its turn.
      node.on('commit', ({ index }) => {
        if (index % 10 === 0)
          void node.query(undefined).then(
            () => echoed++,
            () => undefined,
          )
      })
      nodes.push(node)
    }
    await Promise.all(nodes.map((node) => node.ready()))
    const propose = (node: Node<StateMachine>, text: string) => node.propose(bytes(text)).catch(() => undefined)
    for (let round = 0; round < 20; round++) {
      const calls = nodes.flatMap((node) => [propose(node, `${round}`), node.query(undefined), propose(node, 'x')])
      if (round === 10)
        await nodes
          .find((node) => node.status().role === 'leader')
          ?.transferLeadership()
          .catch(() => undefined)
      await Promise.allSettled(calls)
    }
    expect(echoed).toBeGreaterThan(0)
    await Promise.all(nodes.map((node) => node.close()))
    expect(faults).toEqual([])
  })
})
