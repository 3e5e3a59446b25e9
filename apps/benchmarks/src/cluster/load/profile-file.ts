import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

/** `n1-leader-PID-TIME.cpuprofile` in that directory. */
export function profileFile(directory: string, who: string): string {
  mkdirSync(directory, { recursive: true })
  return join(directory, `${who}-${process.pid}-${Date.now()}.cpuprofile`)
}
