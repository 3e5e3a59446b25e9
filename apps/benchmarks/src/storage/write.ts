import type { CaseContext } from '../harness/case.ts'
import { diskOf, writtenBy } from '../harness/machine.ts'
import type { Sample } from '../harness/part.ts'
import { Latency, rates, timed } from '../harness/timed.ts'
import { payloadBytes, runOf } from './run.ts'
import { type Kind, openWriter } from './writers.ts'

export interface Writing {
  readonly kind: Kind
  readonly batch: number
}

/** One write of `batch` records at a time, the next once it is durable. */
export async function write({ kind, batch }: Writing, context: CaseContext): Promise<Sample> {
  const writer = await openWriter(kind, context.directory)
  if (!context.quick) await writer.wearIn?.()
  const run = runOf(batch)
  const latency = new Latency()
  const bytes = () => ({ handed: writtenBy('self').handed, disk: diskOf(context.directory)?.bytes ?? 0 })
  let before = bytes()
  const found = await timed(
    context,
    () => {
      const began = performance.now()
      const done = writer.write(run)
      const record = () => {
        latency.record(performance.now() - began)
        return batch
      }
      return done instanceof Promise ? done.then(record) : record()
    },
    () => {
      latency.reset()
      before = bytes()
    },
  )
  const after = bytes()
  await writer.close()
  const payload = found.operations * payloadBytes
  return {
    ...rates(found),
    ...latency.percentiles(),
    handedPerPayload: (after.handed - before.handed) / payload,
    toDiskPerPayload: (after.disk - before.disk) / payload,
  }
}

/** So many awaited writes between two words to the one who watches. Not timed: it is slow under its eyes. */
export async function prove(
  { kind, batch, writes }: Writing & { writes: number },
  context: CaseContext,
): Promise<Sample> {
  const writer = await openWriter(kind, context.directory)
  const run = runOf(batch)
  await writer.write(run)
  context.tell('open')
  await context.next()
  for (let i = 0; i < writes; i++) await writer.write(run)
  context.tell('written')
  await context.next()
  await writer.close()
  return {}
}
