import type { StateMachine, Transport } from '@raftkit/contract'
import { memoryStorage } from '@raftkit/storage-memory'
import { afterEach } from 'vitest'
import { createNode, type Node, type NodeEvent, type NodeOptions } from '../src/index.ts'
import { echo } from './echo.ts'
import { Journal } from './journal.ts'

const open: Node<StateMachine>[] = []
afterEach(async () => {
  for (const node of open.splice(0)) await node.close()
})

export interface Started {
  readonly node: Node<StateMachine>
  readonly machine: Journal
  readonly events: NodeEvent[]
}

/** A node on a protocol that is not Raft. It is closed after the test. */
export async function start(
  options: Partial<NodeOptions<StateMachine>> & { readonly transport: Transport },
): Promise<Started> {
  const machine = new Journal()
  const events: NodeEvent[] = []
  const node = await createNode<StateMachine>({
    id: 'n1',
    cluster: 'echoes',
    machine,
    members: { n1: 'a1', n2: 'a2' },
    storage: memoryStorage({ durable: true }),
    protocol: echo,
    observer: (event) => events.push(event),
    closeTimeout: 0,
    ...options,
  })
  open.push(node)
  return { node, machine, events }
}

/** What the protocol was told, in order. */
export const heard = (events: readonly NodeEvent[]): string[] =>
  events.flatMap((event) => (event.type === 'ignored' ? [event.reason] : []))

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2))
}
