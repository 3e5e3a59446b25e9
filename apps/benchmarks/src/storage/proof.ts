import { canWatchFlushes, type FlushCount, watchFlushes } from '../harness/flushes.ts'
import type { Bench, Row } from '../harness/part.ts'
import type { Adapter } from './adapters.ts'
import { payloadBytes } from './run.ts'
import { adapterKinds, rawKinds } from './writers.ts'

const batch = 16

/**
 * Flushes per awaited write, seen by strace. Fails if something that calls itself durable flushes less often than it says
 * "durable", for then its speed means nothing.
 */
export async function proof(bench: Bench): Promise<Row[]> {
  if (!canWatchFlushes()) return []
  const writes = bench.quick ? 10 : 50
  const rows: Row[] = []
  for (const kind of [...rawKinds, ...adapterKinds]) {
    const { flushes, bytes } = await watched(bench, 'prove', { kind, batch, writes })
    bench.say(`${kind}: ${flushes} flushes for ${writes} writes`)
    const durable = kind !== 'storage-memory'
    if (durable && flushes < writes) throw new Error(`${kind} resolved ${writes} writes with ${flushes} flushes`)
    rows.push({
      kind,
      writes,
      flushes,
      flushesPerWrite: flushes / writes,
      bytesPerPayload: bytes / (writes * batch * payloadBytes),
    })
  }
  return rows
}

/** Flushes for a round of writes by so many groups at once; undefined without strace. */
export async function flushesOfGroups(bench: Bench, adapter: Adapter, groups: number): Promise<number | undefined> {
  if (!canWatchFlushes()) return undefined
  const rounds = bench.quick ? 3 : 20
  const { flushes } = await watched(bench, 'proveGroups', { adapter, groups, rounds })
  return flushes / rounds
}

async function watched(bench: Bench, name: string, input: unknown): Promise<FlushCount> {
  const helper = bench.start(name, input)
  await helper.next()
  const watch = await watchFlushes(helper.pid, bench.directory)
  helper.tell('go')
  await helper.next()
  const count = await watch.stop()
  helper.tell('done')
  await helper.result
  return count
}
