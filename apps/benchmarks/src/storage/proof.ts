import { join } from 'node:path'
import { canWatchFlushes, watchFlushes } from '../harness/flushes.ts'
import type { Bench, Row } from '../harness/part.ts'
import { payloadBytes } from './run.ts'
import { adapterKinds, type Kind, rawKinds } from './writers.ts'

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
    const { flushes, bytes } = await watched(bench, kind, writes)
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

async function watched(bench: Bench, kind: Kind, writes: number): Promise<{ flushes: number; bytes: number }> {
  const helper = bench.start('prove', { kind, batch, writes })
  await helper.next()
  const watch = await watchFlushes(helper.pid, join(bench.directory))
  helper.tell('go')
  await helper.next()
  const count = await watch.stop()
  helper.tell('done')
  await helper.result
  return count
}
