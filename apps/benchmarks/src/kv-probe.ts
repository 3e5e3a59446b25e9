import { renameSync, writeFileSync } from 'node:fs'
import { beginLoopDelay, endLoopDelay } from './cluster/load/loop-delay.ts'
import { profileFile } from './cluster/load/profile-file.ts'
import type { ProbeOrder } from './cluster/systems/kv.ts'
import { beginProfile } from './harness/profile.ts'

// The configuration file that members of kv are started with: it changes no setting, and says how late their event loop was.

let endProfile = async () => {}
process.on('message', async ({ edge, answer, profile }: ProbeOrder) => {
  if (edge === 'begin') {
    beginLoopDelay()
    if (profile !== undefined) endProfile = await beginProfile(profileFile(profile, 'kv'))
    return
  }
  const delay = endLoopDelay()
  await endProfile()
  endProfile = async () => {}
  writeFileSync(`${answer}.part`, JSON.stringify(delay))
  renameSync(`${answer}.part`, answer)
})
// The channel must not keep a member alive that wants to end.
process.channel?.unref()

export default {}
