import { machineCompliance } from '@raftkit/compliance'
import { clientSession, defineMachine, platformEnvironment, Refusal, replicate } from 'raftkit'
import { describe, test } from 'vitest'

const shop = defineMachine({
  version: 2,
  initial: () => ({ stock: new Map<string, number>(), sold: new Set<string>(), log: [] as unknown[], total: 0n }),
  commands: {
    deliver: (state, { item, count }: { item: string; count: number }, { index, time, random }) => {
      const now = (state.stock.get(item) ?? 0) + count
      state.stock.set(item, now)
      state.log.push({ item, index, time, lot: random(), label: new Uint8Array([count, index % 256]) })
      if (state.log.length > 50) state.log.shift()
      return { now, lots: state.log.length }
    },
    sell: (state, { item }: { item: string }, context) => {
      const left = state.stock.get(item) ?? 0
      if (left === 0) throw new Refusal(`there is no ${item}`, { code: 'SOLD_OUT', details: { item } })
      state.stock.set(item, left - 1)
      state.sold.add(item)
      state.total += BigInt(context.index)
      return context.random() < 0.5 ? 'heads' : undefined
    },
    close: (state) => {
      state.stock.clear()
    },
  },
  queries: {
    stock: (state) => state.stock,
    everything: (state) => state,
    count: (state, item: string) => state.stock.get(item) ?? 0,
  },
})

/** What a log holds: entries of a session that retries some of its commands, in an order that is the same in each run. */
async function history() {
  const entries: { index: number; time: number; seed: number; data: Uint8Array }[] = []
  const machine = replicate(shop)
  const place = (data: Uint8Array): Uint8Array => {
    const n = entries.length
    const entry = { index: 2 * n + 3, time: 1_700_000_000_000 + 7 * n, seed: Math.imul(n, 40503) >>> 0, data }
    entries.push(entry)
    return machine.apply([entry])[0]!
  }
  const environment = { ...platformEnvironment(), random: (into: Uint8Array) => into.fill(7) }
  const propose = async (data: Uint8Array): Promise<Uint8Array> => {
    // Every ninth entry stands in the log twice.
    if (entries.length % 9 === 8) place(data)
    return place(data)
  }
  const session = clientSession({ propose, environment, applied: () => machine.applied })
  const items = ['apple', 'pear', '__proto__', 'ünïcode 🍐']
  for (let n = 0; n < 250; n++) {
    const item = items[n % items.length]!
    if (n % 61 === 60) await session.call('close', undefined)
    else if (n % 3 === 0) await session.call('deliver', { item, count: (n % 4) + 1 })
    else await session.call('sell', { item }).catch(() => undefined)
  }
  await session.close()
  return entries
}

describe('a defined machine, replicated', () => {
  machineCompliance(
    { describe, test },
    {
      create: () => replicate(shop),
      commands: history,
      questions: [
        { name: 'stock', input: undefined },
        { name: 'everything', input: undefined },
        { name: 'count', input: 'apple' },
      ],
      unknown: new Uint8Array([1, 99, 0]),
    },
  )
})
