import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { CaseContext } from '../harness/case.ts'
import type { Sample } from '../harness/part.ts'
import { type Adapter, adapters } from './adapters.ts'
import { runOf } from './run.ts'

const readBytes = 1_048_576
const batch = 128

/** A log of about that many bytes, closed in order. */
export async function fill({
  adapter,
  directory,
  bytes,
}: {
  adapter: Adapter
  directory: string
  bytes: number
}): Promise<Sample> {
  const storage = adapters[adapter](directory)
  const log = await storage.log('main')
  const run = runOf(batch)
  const writes = Math.ceil(bytes / run.bytes.length)
  const waiting: Promise<void>[] = []
  for (let i = 0; i < writes; i++) {
    waiting.push(log.write({ tail: { at: 1 + i * batch, run } }))
    if (waiting.length >= 64) await waiting.shift()
  }
  await Promise.all(waiting)
  await log.close()
  await storage.close()
  return { records: writes * batch, bytes: writes * run.bytes.length }
}

/** What a restart asks of its storage: find the log, then read it from its first record to its last. The file cache is warm. */
export async function replay(
  { adapter, bytes }: { adapter: Adapter; bytes: number },
  context: CaseContext,
): Promise<Sample> {
  const directory = join(context.directory, 'log')
  mkdirSync(directory)
  const filled = await context.start('fill', { adapter, directory, bytes }).result
  const cpu = process.cpuUsage()
  const began = performance.now()
  const storage = adapters[adapter](directory)
  const log = await storage.log('main')
  const opened = performance.now()
  const { first, last } = log.found
  let read = 0
  for (let next = first; next <= last; ) {
    const run = await log.read(next, last, readBytes)
    read += run.bytes.length
    next += run.count
  }
  const ended = performance.now()
  const { user, system } = process.cpuUsage(cpu)
  await log.close()
  await storage.close()
  if (last !== filled.records || read !== filled.bytes)
    throw new Error(`${adapter} gave back ${last} records of ${filled.records}, ${read} bytes of ${filled.bytes}`)
  const megabytes = read / 1e6
  return {
    megabytes,
    openMs: opened - began,
    readMbPerSecond: megabytes / ((ended - opened) / 1000),
    mbPerSecond: megabytes / ((ended - began) / 1000),
    cpuUs: (user + system) / last,
  }
}
