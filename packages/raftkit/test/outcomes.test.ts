import type { StateMachine, Storage } from '@raftkit/contract'
import { memoryStorage } from '@raftkit/storage-memory'
import { type MemoryNetwork, memoryNetwork } from '@raftkit/transport-memory'
import { afterEach, describe, expect, test } from 'vitest'
import { createNode, type Node, type NodeEvent, type NodeOptions } from '../src/index.ts'
import { until } from './cluster.ts'
import { bytes, Journal, textOf } from './journal.ts'

interface Member {
  readonly node: Node<StateMachine>
  readonly machine: Journal
  readonly events: NodeEvent[]
}

const open: Member[] = []
afterEach(async () => {
  for (const { node } of open.splice(0)) await node.close()
})

const members = { n1: 'a1', n2: 'a2', n3: 'a3' }

async function start(
  network: MemoryNetwork,
  id: string,
  options: Partial<NodeOptions<StateMachine>> = {},
  storage: Storage = memoryStorage({ durable: true }),
): Promise<Member> {
  const machine = new Journal()
  const events: NodeEvent[] = []
  const node = await createNode<StateMachine>({
    id,
    cluster: 'outcomes',
    machine,
    members,
    storage,
    transport: network.transport(),
    timing: { electionTimeout: 200, heartbeatInterval: 20 },
    observer: (event) => events.push(event),
    closeTimeout: 0,
    ...options,
  })
  const member = { node, machine, events }
  open.push(member)
  return member
}

async function three(network: MemoryNetwork, options: Partial<NodeOptions<StateMachine>> = {}) {
  const all = await Promise.all(Object.keys(members).map((id) => start(network, id, options)))
  await Promise.all(all.map(({ node }) => node.ready()))
  const leader = all.find(({ node }) => node.status().role === 'leader')!
  return { all, leader, followers: all.filter((member) => member !== leader) }
}

describe('the outcome of a proposal', () => {
  test('whose place was taken by another entry is never success (Q11)', async () => {
    const network = memoryNetwork()
    const { all, leader, followers } = await three(network)
    network.isolate(leader.node.id)
    const lost = ['x', 'y', 'z'].map((text) => leader.node.propose(bytes(text)).catch((error) => error))
    await until(() => followers.some(({ node }) => node.status().role === 'leader'))
    const next = followers.find(({ node }) => node.status().role === 'leader')!
    const placed = await Promise.all(['a', 'b', 'c'].map((text) => next.node.propose(bytes(text))))
    expect(placed.map(({ result }) => textOf(result))).toEqual(['1', '2', '3'])
    network.heal()
    for (const failure of await Promise.all(lost)) expect(['refused', 'unknown']).toContain(failure.outcome)
    await until(() => all.every(({ machine }) => machine.texts.length === 3))
    for (const { machine } of all) expect(machine.texts).toEqual(['a', 'b', 'c'])
  })

  test('made on a follower is known, and it is applied on the follower before it is told', async () => {
    const network = memoryNetwork()
    const { followers } = await three(network)
    const [{ node, machine }] = followers as [Member]
    for (let i = 1; i <= 20; i++) {
      const { index, result } = await node.propose(bytes(`${i}`))
      expect(textOf(result)).toBe(`${i}`)
      expect(machine.texts).toHaveLength(i)
      expect(node.status().machineApplied).toBeGreaterThanOrEqual(index)
    }
  })

  test('that a snapshot overtook is unknown, and every promise settles (B56)', async () => {
    const network = memoryNetwork()
    const { leader, followers } = await three(network, { snapshots: { everyEntries: 20, trailingEntries: 5 } })
    const [cut] = followers as [Member]
    // What the follower forwards still arrives; what it would have to learn of it does not.
    network.cut(leader.node.id, cut.node.id)
    const overtaken = cut.node.propose(bytes('overtaken')).catch((error) => error)
    await new Promise((resolve) => setTimeout(resolve, 20))
    for (let i = 0; i < 100; i++) await leader.node.propose(bytes(`${i}`)).catch(() => undefined)
    network.heal()
    const outcome = await overtaken
    if (outcome instanceof Error) expect(outcome).toMatchObject({ outcome: expect.stringMatching(/refused|unknown/) })
    else expect(outcome.index).toBeGreaterThan(0)
    await until(() => cut.node.status().waitingCalls === 0)
  })
})

describe('what is bounded', () => {
  test('while followers get nothing, proposals beyond the limit are refused, and go on afterwards (R15)', async () => {
    const network = memoryNetwork()
    const { leader } = await three(network, { limits: { uncommittedBytes: 100_000 } })
    network.filter((_, __, ___, lane) => (lane === 'bulk' ? 'drop' : 'pass'))
    const calls = Array.from({ length: 50 }, () =>
      leader.node.propose(new Uint8Array(10_000)).then(
        () => 'applied',
        (error) => error.code,
      ),
    )
    await until(() => leader.node.status().waitingCalls <= 11)
    network.filter()
    const ends = await Promise.all(calls)
    expect(ends.filter((end) => end === 'OVERLOADED').length).toBeGreaterThan(30)
    expect(ends.filter((end) => end === 'applied').length).toBeGreaterThan(0)
    await leader.node.propose(bytes('again'))
  })

  test('an entry larger than a frame is refused at the call, and never in the log (R14)', async () => {
    const network = memoryNetwork({ maxFrameBytes: 65_536 })
    const { leader, followers } = await three(network)
    const { last } = leader.node.status()
    for (const { node } of [leader, followers[0]!])
      await expect(node.propose(new Uint8Array(70_000))).rejects.toMatchObject({
        code: 'TOO_LARGE',
        outcome: 'refused',
      })
    expect(leader.node.status().last).toBe(last)
    expect(textOf((await leader.node.propose(new Uint8Array(50_000))).result)).toBe('1')
  })
})

describe('a snapshot that is being taken when another is installed (B54)', () => {
  test('does not replace the newer one, and its blob does not outlive it', async () => {
    const network = memoryNetwork()
    const storage = memoryStorage({ durable: true })
    const options = { snapshots: { everyEntries: 1e9, everyBytes: 1e12, trailingEntries: 10 } }
    const all = await Promise.all([
      start(network, 'n1', options),
      start(network, 'n2', options),
      start(network, 'n3', options, storage),
    ])
    await Promise.all(all.map(({ node }) => node.ready()))
    const slow = all[2]!
    if (slow.node.status().role === 'leader') await slow.node.transferLeadership('n1')
    const others = all.slice(0, 2)
    await others[0]!.node.propose(bytes('a'))
    await until(() => slow.machine.texts.length === 1)
    let resume!: () => void
    const frozen = slow.machine.snapshot()
    slow.machine.snapshot = async function* () {
      await new Promise<void>((resolve) => {
        resume = resolve
      })
      yield* frozen
    }
    const own = slow.node.snapshot().catch((error) => error)
    await until(() => resume !== undefined)
    network.isolate('n3')
    await until(() => others.some(({ node }) => node.status().role === 'leader'))
    const leader = others.find(({ node }) => node.status().role === 'leader')!
    for (let i = 0; i < 500; i += 100)
      await Promise.all(Array.from({ length: 100 }, (_, j) => leader.node.propose(bytes(`${i + j}`))))
    await leader.node.snapshot()
    expect(leader.node.status().first).toBeGreaterThan(100)
    network.heal()
    await until(() => (slow.node.status().snapshot?.index ?? 0) > 100)
    const installed = slow.node.status().snapshot!
    resume()
    await own
    await until(() => slow.machine.texts.length >= 501)
    await slow.node.propose(bytes('last'))
    expect(slow.node.status().snapshot).toEqual(installed)
    await slow.node.close()
    open.splice(open.indexOf(slow), 1)
    const again = await start(network, 'n3', options, storage)
    await again.node.ready()
    expect(again.node.status().snapshot).toEqual(installed)
    expect(again.machine.texts).toHaveLength(502)
  })
})
