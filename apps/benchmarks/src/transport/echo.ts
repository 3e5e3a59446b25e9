import type { CaseContext } from '../harness/case.ts'
import type { Sample } from '../harness/part.ts'
import { rates, timed } from '../harness/timed.ts'
import { type Kind, type Place, wires } from './wires.ts'

export interface Echo {
  readonly kind: Kind
  /** Messages that are sent in one turn. Two such batches are on their way, so that both ends have something to do. */
  readonly batch: number
}

/**
 * The near end. It sends the next batch when a whole one is back: if it sent again whatever came back in a turn, batches would
 * crumble, and the figures would tell of their size alone.
 */
export async function echo({ kind, batch }: Echo, context: CaseContext): Promise<Sample> {
  const far = context.start('answer', { kind })
  const place = (await far.next()) as Place
  let heard = 0
  let back = 0
  let enough = Number.POSITIVE_INFINITY
  let reached = () => {}
  const wire = await wires[kind].dial(place, (count) => {
    heard += count
    back += count
    for (; back >= batch; back -= batch) wire.send(batch)
    if (heard >= enough) reached()
  })
  wire.send(batch)
  setImmediate(() => wire.send(batch))
  /** Until so many more are back. */
  const more = (count: number) => {
    const before = heard
    enough = before + count
    return new Promise<number>((resolve) => {
      reached = () => {
        enough = Number.POSITIVE_INFINITY
        resolve(heard - before)
      }
    })
  }
  // By work, not by time alone: where much else runs, time does not teach the compiler enough.
  await more(Math.min(context.quick ? 30_000 : 300_000, 2000 * batch))
  const found = await timed(
    context,
    // Large enough that the promise costs nothing beside it.
    () => more(Math.max(batch, 512)),
    () => far.tell('begin'),
  )
  far.tell('end')
  const { cpuMicroseconds } = await far.result
  const { perSecond, cpuUs } = rates(found)
  void wire.close()
  return { perSecond, cpuUs: cpuUs + (cpuMicroseconds ?? Number.NaN) / found.operations }
}

/** The far end. It tells where it is, and what is to be shown there, counts its processor time between two words, and is ended by the other. */
export async function answer({ kind }: { kind: Kind }, context: CaseContext): Promise<Sample> {
  context.tell(await wires[kind].answer())
  await context.next()
  const cpu = process.cpuUsage()
  await context.next()
  const { user, system } = process.cpuUsage(cpu)
  return { cpuMicroseconds: user + system }
}
