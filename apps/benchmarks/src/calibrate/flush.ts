import { execFile } from 'node:child_process'
import { fdatasync, fdatasyncSync, fsyncSync, ftruncateSync, openSync, write, writeSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { CaseContext } from '../harness/case.ts'
import type { Sample } from '../harness/part.ts'
import { Latency, rates, timed } from '../harness/timed.ts'

const page = 4096
const pages = 4096

/** How the write is made: over what is there, or at the end; waiting for the call, or for the thread pool's callback. */
export type Way = 'overwrite' | 'append' | 'overwrite, callbacks'

/** One writer: a page, then a flush, again and again. */
export async function writer({ way }: { way: Way }, context: CaseContext): Promise<Sample> {
  const fd = openSync(join(context.directory, 'file'), 'w+')
  const bytes = Buffer.alloc(page, 'raftkit')
  if (way === 'append') ftruncateSync(fd, 0)
  else for (let i = 0; i < pages; i++) writeSync(fd, Buffer.alloc(page), 0, page, i * page)
  fsyncSync(fd)
  const latency = new Latency()
  const writes = promisify(write)
  const flushes = promisify(fdatasync)
  let next = 0
  const place = () => (next++ % pages) * page
  const step = {
    overwrite() {
      writeSync(fd, bytes, 0, page, place())
      fdatasyncSync(fd)
    },
    append() {
      writeSync(fd, bytes, 0, page, next++ * page)
      fdatasyncSync(fd)
    },
    async 'overwrite, callbacks'() {
      await writes(fd, bytes, 0, page, place())
      await flushes(fd)
    },
  }[way]
  const found = await timed(
    context,
    () => {
      const began = performance.now()
      const record = () => {
        latency.record(performance.now() - began)
        return 1
      }
      const done = step()
      return done ? done.then(record) : record()
    },
    () => latency.reset(),
  )
  return { ...rates(found), ...latency.percentiles() }
}

/** So many writers at once, each a process with a file of its own on the same disk: what three members do to it. */
export async function flush({ way, writers }: { way: Way; writers: number }, context: CaseContext): Promise<Sample> {
  const helpers = Array.from({ length: writers }, () => context.start('writer', { way }))
  const samples = await Promise.all(helpers.map((helper) => helper.result))
  const mean = (field: string) => samples.reduce((sum, sample) => sum + sample[field]!, 0) / writers
  return { perSecond: mean('perSecond') * writers, cpuUs: mean('cpuUs'), p50Us: mean('p50Us'), p99Us: mean('p99Us') }
}

interface FioOutput {
  readonly jobs: readonly {
    readonly write: { readonly iops: number; readonly runtime: number }
    readonly sync: { readonly lat_ns: { readonly percentile?: Readonly<Record<string, number>> } }
    readonly usr_cpu: number
    readonly sys_cpu: number
  }[]
}

/** The same by a program that others know. Its percentiles are of the flush alone, without the write. */
export async function fio(
  { writers }: { writers: number },
  { seconds, warmUp, directory }: CaseContext,
): Promise<Sample> {
  const flags = {
    name: 'flush',
    directory,
    ioengine: 'sync',
    rw: 'write',
    bs: page,
    size: page * pages,
    overwrite: 1,
    fdatasync: 1,
    time_based: 1,
    runtime: `${Math.ceil(seconds * 1000)}ms`,
    ramp_time: `${Math.ceil(warmUp * 1000)}ms`,
    numjobs: writers,
    group_reporting: 1,
    thread: 1,
    'output-format': 'json',
  }
  const { stdout } = await promisify(execFile)(
    'fio',
    Object.entries(flags).map(([name, value]) => `--${name}=${value}`),
  )
  const job = (JSON.parse(stdout.slice(stdout.indexOf('{'))) as FioOutput).jobs[0]!
  const { iops } = job.write
  // Shares of a core, in percent, over all writers.
  const cpuUs = (((job.usr_cpu + job.sys_cpu) / 100) * 1e6 * writers) / iops
  const at = (percent: string) => (job.sync.lat_ns.percentile?.[percent] ?? 0) / 1000
  return { perSecond: iops, cpuUs, p50Us: at('50.000000'), p99Us: at('99.000000') }
}
