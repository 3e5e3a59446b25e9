import { machineCompliance } from '@raftkit/compliance'
import { clientSession, platformEnvironment, replicate } from 'raftkit'
import { describe, test } from 'vitest'
import { kv } from '../src/machine/machine.ts'

/** What the log of a store holds after some hundred calls, every seventh of which was placed twice. */
async function history() {
  const entries: { index: number; time: number; seed: number; data: Uint8Array }[] = []
  const machine = replicate(kv)
  const place = (data: Uint8Array): Uint8Array => {
    const n = entries.length + 1
    entries.push({ index: n, time: 1_700_000_000_000 + n, seed: n, data })
    return machine.apply(entries.slice(-1))[0]!
  }
  const environment = { ...platformEnvironment(), random: (into: Uint8Array) => into.fill(7) }
  const propose = async (data: Uint8Array): Promise<Uint8Array> => {
    if (entries.length % 7 === 6) place(data)
    return place(data)
  }
  const session = clientSession({ propose, environment, applied: () => machine.applied })
  for (let n = 0; n < 400; n++) {
    const key = `k${(n * 7) % 23}`
    if (n % 5 === 0) await session.call('append', { key, value: `é${n}` })
    else if (n % 5 === 1)
      await session.call('cas', { key, expect: n % 2 ? { absent: true } : { revision: n - 40 }, value: 'x' })
    else if (n % 5 === 2) await session.call('del', { key })
    else await session.call('put', { key, value: `${n}`.repeat(n % 40) })
  }
  await session.close()
  return entries
}

describe('the key-value store, replicated', () => {
  machineCompliance(
    { describe, test },
    {
      create: () => replicate(kv),
      commands: history,
      questions: [
        { name: 'summary', input: undefined },
        { name: 'get', input: { key: 'k7' } },
        { name: 'list', input: { prefix: 'k', after: 'k11', limit: 9 } },
        { name: 'list', input: { prefix: '', after: null, limit: 1000 } },
        { name: 'changes', input: { prefix: '', from: 1 } },
      ],
    },
  )
})
