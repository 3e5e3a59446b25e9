// Never run, only type checked, in a project that may have no types of Node: what the machine says reaches its callers.
import { memoryStorage } from '@raftkit/storage-memory'
import { memoryNetwork } from '@raftkit/transport-memory'
import { createNode, defineMachine } from 'raftkit'

const machine = defineMachine({
  initial: () => ({ accounts: new Map<string, bigint>(), closed: false }),
  commands: {
    deposit: (state, { to, amount }: { to: string; amount: bigint }) => {
      const balance = (state.accounts.get(to) ?? 0n) + amount
      state.accounts.set(to, balance)
      return balance
    },
    close: (state) => {
      state.closed = true
    },
    rename: (state, input: { from: string; to?: string }): 'renamed' | 'missing' =>
      state.accounts.has(input.from) ? 'renamed' : 'missing',
  },
  queries: {
    balance: (state, account: string) => state.accounts.get(account),
    closed: (state) => state.closed,
  },
})

await using node = await createNode({
  id: 'n1',
  cluster: 'bank',
  machine,
  members: { n1: 'memory:1' },
  storage: memoryStorage(),
  transport: memoryNetwork().transport(),
})
await node.ready()

export const balance: bigint = await node.commands.deposit({ to: 'a', amount: 1n })
await node.commands.close()
export const outcome: 'renamed' | 'missing' = await node.commands.rename(
  { from: 'a' },
  { signal: AbortSignal.timeout(9) },
)
export const known: bigint | undefined = await node.queries.balance('a')
export const closed: boolean = await node.queries.closed(undefined, { consistency: 'stale' })

// @ts-expect-error: an amount is a bigint
await node.commands.deposit({ to: 'a', amount: 1 })
// @ts-expect-error: the input is not optional
await node.commands.deposit()
// @ts-expect-error: no such command
await node.commands.withdraw({ from: 'a' })
// @ts-expect-error: a balance is not a string
export const text: string = await node.queries.balance('a')
// @ts-expect-error: commands are synchronous
defineMachine({ initial: () => ({ n: 0 }), commands: { later: async (state) => state.n } })
