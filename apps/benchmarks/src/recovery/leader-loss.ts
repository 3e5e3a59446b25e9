import { Embedded, ids } from '../cluster/systems/embedded.ts'
import type { Build } from '../cluster/systems/system.ts'
import { Latency } from '../harness/timed.ts'

/**
 * Milliseconds from SIGKILL of the leader to the first acknowledgement of a put that a survivor was asked for after it,
 * again and again with the same three members.
 */
export async function leaderLoss(build: Build, times: number, say: (line: string) => void): Promise<number[]> {
  const system = await Embedded.start('proposals', build)
  const found: number[] = []
  try {
    await system.fill(1000)
    for (let time = 1; time <= times; time++) {
      const leader = await system.leader()
      const survivors = ids.map((_, at) => at).filter((at) => at !== leader)
      const began = performance.now()
      const killed = system.killMember(leader)
      await Promise.race(survivors.map((at) => system.ask(at, { type: 'first-put' })))
      found.push(performance.now() - began)
      say(`leader killed, ${time} of ${times}: ${found.at(-1)!.toFixed(0)} ms`)
      await killed
      await system.leader()
      await system.startMember(leader)
    }
  } finally {
    await system.stop()
  }
  return found
}

export function distribution(milliseconds: readonly number[]): { p50: number; p90: number; max: number } {
  const latency = new Latency()
  for (const one of milliseconds) latency.record(one)
  const { p50Us, p90Us, maxUs } = latency.percentiles()
  return { p50: p50Us! / 1000, p90: p90Us! / 1000, max: maxUs! / 1000 }
}
