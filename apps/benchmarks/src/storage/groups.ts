import type { CaseContext } from '../harness/case.ts'
import type { Sample } from '../harness/part.ts'
import { rates, timed } from '../harness/timed.ts'
import { type Adapter, adapters } from './adapters.ts'
import { runOf } from './run.ts'

export interface Crowd {
  readonly adapter: Adapter
  readonly groups: number
}

/** Each group writes one record, and the next once it is durable; all at once. */
export async function groups({ adapter, groups }: Crowd, context: CaseContext): Promise<Sample> {
  const crowd = await open({ adapter, groups }, context.directory)
  const found = await timed(context, () => crowd.round())
  await crowd.close()
  return rates(found)
}

/** So many rounds between two words to the one who counts flushes. */
export async function proveGroups(
  { rounds, ...input }: Crowd & { rounds: number },
  context: CaseContext,
): Promise<Sample> {
  const crowd = await open(input, context.directory)
  await crowd.round()
  context.tell('open')
  await context.next()
  for (let i = 0; i < rounds; i++) await crowd.round()
  context.tell('written')
  await context.next()
  await crowd.close()
  return {}
}

async function open({ adapter, groups }: Crowd, directory: string) {
  const storage = adapters[adapter](directory)
  const names = Array.from({ length: groups }, (_, i) => `group-${i}`)
  const logs = await Promise.all(names.map((name) => storage.log(name)))
  const run = runOf(1)
  let next = 1
  return {
    /** A write by every group. They wait for each other, so that all of them are under way at once. */
    async round(): Promise<number> {
      const at = next++
      await Promise.all(logs.map((log) => log.write({ tail: { at, run } })))
      return groups
    },
    async close(): Promise<void> {
      await Promise.all(logs.map((log) => log.close()))
      await storage.close()
    },
  }
}
