import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { basename } from 'node:path'
import type { Row, Table } from './part.ts'

/** A CPU profile of this process from now on; what is returned ends it and writes it to `file`. */
export async function beginProfile(file: string): Promise<() => Promise<void>> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: 500 })
  await session.post('Profiler.start')
  return async () => {
    const { profile } = await session.post('Profiler.stop')
    session.disconnect()
    writeFileSync(file, JSON.stringify(profile))
  }
}

/** A `.cpuprofile`. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

export interface Hot {
  readonly where: string
  /** Of the time that the thread was not idle, without what it called. */
  readonly share: number
}

/** Of one subject. */
export interface Profile {
  readonly of: string
  readonly hot: readonly Hot[]
}

/** The functions that took most of the time themselves; none if there is no such file. Bundled code is named by its function alone. */
export function hottest(file: string, count: number): Hot[] {
  if (!existsSync(file)) return []
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, 'utf8')) as CpuProfile
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const times = new Map<string, number>()
  let total = 0
  for (const [i, id] of samples.entries()) {
    const { functionName, url } = frames.get(id)!
    // `dispatch` is the profiler's own: it begins and ends.
    if (functionName === '(idle)' || (functionName === 'dispatch' && url === '')) continue
    const time = Math.max(0, timeDeltas[i] ?? 0)
    const name = functionName || '(anonymous)'
    const where = url ? `${name}  ${url.startsWith('node:') ? url : basename(url)}` : name
    times.set(where, (times.get(where) ?? 0) + time)
    total += time
  }
  return [...times]
    .sort(([, a], [, b]) => b - a)
    .slice(0, count)
    .map(([where, time]) => ({ where, share: total > 0 ? time / total : 0 }))
}

export function profileTable(profiles: readonly Profile[]): Table {
  const rows: Row[] = profiles.flatMap(({ of, hot }) =>
    hot.map(({ where, share }) => ({ of, where: `\`${where}\``, percent: Math.round(share * 1000) / 10 })),
  )
  return {
    name: 'profile',
    title: 'Where the time goes: the functions that took most of it themselves, in a run of their own',
    columns: [
      { field: 'of', title: 'of' },
      { field: 'where', title: 'function' },
      { field: 'percent', title: '% of busy time' },
    ],
    rows,
  }
}
