import { renameSync, writeFileSync } from 'node:fs'
import { beginLoopDelay, endLoopDelay } from './cluster/load/loop-delay.ts'
import { beginProfile, endProfile } from './cluster/load/profile.ts'
import type { ProbeOrder } from './cluster/systems/kv.ts'

// The configuration file that members of kv are started with: it changes no setting, and says how late their event loop was.

process.on('message', async ({ edge, answer, profile }: ProbeOrder) => {
  if (edge === 'begin') {
    beginLoopDelay()
    if (profile !== undefined) await beginProfile()
    return
  }
  const delay = endLoopDelay()
  if (profile !== undefined) await endProfile(profile, 'kv')
  writeFileSync(`${answer}.part`, JSON.stringify(delay))
  renameSync(`${answer}.part`, answer)
})
// The channel must not keep a member alive that wants to end.
process.channel?.unref()

export default {}
