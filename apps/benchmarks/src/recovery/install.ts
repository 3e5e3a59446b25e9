import { setTimeout as pause } from 'node:timers/promises'
import { Embedded, ids } from '../cluster/systems/embedded.ts'
import type { MemberStatus } from '../cluster/systems/member.ts'
import type { Build, Work } from '../cluster/systems/system.ts'
import type { Sample } from '../harness/part.ts'

const patienceMs = 60_000

/** Entries that stay behind a snapshot (the runtime's default), and some: who lacks so many must be sent the snapshot. */
const cut = 12_000

/**
 * Puts at a fixed rate, twice: with three members at rest otherwise, and while one that lost touch is sent a snapshot of the whole
 * state, by the leader that answers the puts.
 */
export async function installUnderLoad(
  build: Build,
  { keys, rate, seconds }: { keys: number; rate: number; seconds: number },
  say: (line: string) => void,
): Promise<{ quiet: Sample; during: Sample }> {
  const system = await Embedded.start('proposals', build)
  const work: Work = { request: 'put', keys, outstanding: 64, rate, warmUp: Math.min(1, seconds / 4), seconds }
  try {
    await system.fill(keys)
    const quiet = await system.run(work)
    say(`puts with nothing else: p99 ${(quiet.p99Us! / 1000).toFixed(1)} ms`)
    const leader = await system.leader()
    const lagging = ids.findIndex((_, at) => at !== leader)
    await system.killMember(lagging)
    await system.fill(cut)
    await system.ask(leader, { type: 'snapshot' })
    const { commit, snapshotIndex } = await system.ask<MemberStatus>(leader, { type: 'status' })
    const running = system.run(work)
    running.catch(() => {})
    await pause(work.warmUp * 1000)
    const began = performance.now()
    await system.startMember(lagging)
    const started = performance.now()
    for (;;) {
      const { applied, snapshotIndex: has } = await system.ask<MemberStatus>(lagging, { type: 'status' })
      if (applied >= commit && has < snapshotIndex)
        throw new Error('the member caught up by entries, without the snapshot')
      if (applied >= commit) break
      if (performance.now() - began > patienceMs) throw new Error('the member that lagged did not catch up')
      await pause(5)
    }
    const caughtUp = performance.now()
    const during = await running
    const installSeconds = (caughtUp - started) / 1000
    say(
      `puts while a snapshot is installed: p99 ${(during.p99Us! / 1000).toFixed(1)} ms, caught up after ${installSeconds.toFixed(2)} s`,
    )
    return { quiet, during: { ...during, startSeconds: (started - began) / 1000, installSeconds } }
  } finally {
    await system.stop()
  }
}
