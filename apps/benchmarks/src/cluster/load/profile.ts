import { mkdirSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { join } from 'node:path'

let session: Session | undefined

/** A CPU profile of this process, for the measured window alone: load it in any tool that reads `.cpuprofile`. */
export async function beginProfile(): Promise<void> {
  session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: 500 })
  await session.post('Profiler.start')
}

export async function endProfile(directory: string, name: string): Promise<void> {
  const { profile } = await session!.post('Profiler.stop')
  session!.disconnect()
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, `${name}-${process.pid}-${Date.now()}.cpuprofile`), JSON.stringify(profile))
}
