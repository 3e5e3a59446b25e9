import type { StateMachine } from '@raftkit/contract'
import { memoryStorage } from '@raftkit/storage-memory'
import { memoryNetwork } from '@raftkit/transport-memory'
import { describe, expect, test } from 'vitest'
import { createNode } from '../src/index.ts'
import { echo } from './echo.ts'
import { start, until } from './echo-node.ts'
import { bytes, Journal } from './journal.ts'
import { World } from './world.ts'

describe('the state machine', () => {
  test('that throws stops the node visibly, and no entry is skipped (B62, R17)', async () => {
    const { node, machine, events } = await start({ transport: memoryNetwork().transport() })
    await node.propose(bytes('a'))
    const poison = node.propose(bytes('poison')).catch((error) => error)
    const behind = node.propose(bytes('b')).catch((error) => error)
    expect(await poison).toMatchObject({ code: 'MACHINE_MISMATCH', outcome: 'unknown' })
    expect(await behind).toMatchObject({ code: 'MACHINE_MISMATCH', outcome: 'unknown' })
    await expect(node.query(1, { consistency: 'stale' })).rejects.toMatchObject({ code: 'MACHINE_MISMATCH' })
    expect(machine.texts).toEqual(['a'])
    expect(node.status()).toMatchObject({ state: 'failed', machineApplied: 1 })
    expect(events.at(-1)?.type).toBe('stopped')
  })

  test('may throw at a question: that is the answer, and nothing stops', async () => {
    const { node } = await start({ transport: memoryNetwork().transport() })
    await expect(node.query('bad')).rejects.toThrow('no such question')
    await node.propose(bytes('a'))
  })

  test('is asked between batches only, and a read waits until it has come far enough (Q4)', async () => {
    const { node, machine } = await start({ transport: memoryNetwork().transport() })
    machine.slow = true
    const first = node.propose(bytes('a'))
    await until(() => machine.release !== undefined)
    let answer: unknown
    const reading = node.query(undefined).then((count) => {
      answer = count
    })
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(answer).toBeUndefined()
    machine.release!()
    await Promise.all([first, reading])
    expect(answer).toBe(1)
    machine.slow = false
  })

  test('is not asked after the batch before the one a read must see (Q4, etcd#13464)', async () => {
    const { node, machine } = await start({ transport: memoryNetwork().transport() })
    machine.slow = true
    const first = node.propose(bytes('a'))
    await until(() => machine.release !== undefined)
    const second = node.propose(bytes('b'))
    await until(() => node.status().commit === 2)
    const reading = node.query(undefined)
    await new Promise((resolve) => setTimeout(resolve, 20))
    const releaseFirst = machine.release!
    machine.release = undefined
    releaseFirst()
    await until(() => machine.release !== undefined)
    machine.release!()
    await Promise.all([first, second])
    expect(await reading).toBe(2)
    machine.slow = false
  })

  test('that gives too few results is a mismatch, not a guess', async () => {
    const { node, machine } = await start({ transport: memoryNetwork().transport() })
    machine.apply = () => []
    await expect(node.propose(bytes('a'))).rejects.toMatchObject({ code: 'MACHINE_MISMATCH' })
  })
})

describe('a lease read', () => {
  test('counts only if the lease still holds once the answer was computed; otherwise a round answers (Q5, Q6, B40)', async () => {
    const world = new World()
    const machine = new Journal()
    const starting = createNode<StateMachine>({
      id: 'n1',
      cluster: 'echoes',
      machine,
      members: { n1: 'a1' },
      storage: memoryStorage({ durable: true }),
      transport: memoryNetwork().transport(),
      protocol: echo,
      environment: world,
      leases: { drift: 0.1 },
      closeTimeout: 0,
    })
    await world.settle()
    const node = await starting
    let asked = 0
    machine.query = () => {
      if (asked++ === 0) world.stall(11) // longer than the lease of the echo
      return asked
    }
    const slow = node.query(undefined, { consistency: 'lease' })
    await world.settle()
    expect(await slow).toBe(2) // the first answer was thrown away
    const quick = node.query(undefined, { consistency: 'lease' })
    await world.settle()
    expect(await quick).toBe(3)
    expect(node.prometheus()).toMatch(/raft_reads_total\{[^}]*mode="linearizable"\} 1/)
    expect(node.prometheus()).toMatch(/raft_reads_total\{[^}]*mode="lease"\} 1/)
    await Promise.all([node.close(), world.settle()])
  })

  test('needs the option, and says so', async () => {
    const { node } = await start({ transport: memoryNetwork().transport() })
    await expect(node.query(1, { consistency: 'lease' })).rejects.toMatchObject({ code: 'INVALID_OPTION' })
  })
})
