import { spawn } from 'node:child_process'
import { createReadStream, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { isInstalled } from './machine.ts'

export interface FlushCount {
  /** Calls that return when bytes are durable: fsync, fdatasync, and writes to files opened with O_SYNC or O_DSYNC. */
  readonly flushes: number
  /** Bytes written to files in the directory. */
  readonly bytes: number
}

export interface FlushWatch {
  stop(): Promise<FlushCount>
}

const writes = ['write', 'writev', 'pwrite64', 'pwritev', 'pwritev2']
const flushes = ['fsync', 'fdatasync']
const calls = ['open', 'openat', ...writes, ...flushes]

export function canWatchFlushes(): boolean {
  return isInstalled('strace', '-V')
}

/**
 * Counts what a running process, whoever made it, does to the files in `directory`: by `strace`, so that durability is seen and
 * not believed. It slows the process many times over: never measure time while it runs.
 */
export async function watchFlushes(pid: number, directory: string): Promise<FlushWatch> {
  const place = mkdtempSync(join(tmpdir(), 'strace-'))
  const output = join(place, 'calls')
  // What is open already tells its flags here only.
  const synchronous = openSynchronously(pid)
  const strace = spawn(
    'strace',
    ['-f', '-y', '-s', '0', '-e', `trace=${calls}`, '-e', 'signal=none', '-o', output, '-p', `${pid}`],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  )
  const ended = new Promise<void>((end) => strace.once('close', () => end()))
  await new Promise<void>((attached, failed) => {
    let said = ''
    strace.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text
      if (said.includes('attached')) attached()
    })
    strace.once('error', failed)
    void ended.then(() => failed(new Error(`strace did not attach to ${pid}: ${said.trim()}`)))
  })
  return {
    async stop() {
      strace.kill('SIGINT')
      await ended
      try {
        return await countFlushes(createReadStream(output), resolve(directory), synchronous)
      } finally {
        rmSync(place, { recursive: true, force: true })
      }
    },
  }
}

/** Reads what `strace -f -y` wrote. `synchronous`: paths known to be open with O_SYNC or O_DSYNC. */
export async function countFlushes(lines: Readable, directory: string, synchronous: Set<string>): Promise<FlushCount> {
  const count = { flushes: 0, bytes: 0 }
  /** The path of a call whose end stands on a later line, by thread. */
  const pending = new Map<string, string>()
  for await (const line of createInterface({ input: lines })) {
    const begun = /^(\d+) +(\w+)\((.*)/.exec(line)
    const resumed = /^(\d+) +<\.\.\. (\w+) resumed>/.exec(line)
    const [, thread = '', call = '', rest = ''] = begun ?? resumed ?? []
    if (call === 'open' || call === 'openat') {
      const [, base = '', path = ''] = /^(?:AT_FDCWD<([^>]*)>, )?"([^"]*)"/.exec(rest) ?? []
      if (/O_D?SYNC/.test(rest)) synchronous.add(resolve(base, path))
      continue
    }
    const path = resumed ? pending.get(thread) : /^\d+<([^>]*)>/.exec(rest)?.[1]
    pending.delete(thread)
    if (path === undefined || !(path === directory || path.startsWith(`${directory}/`))) continue
    if (line.includes('<unfinished ...>')) {
      pending.set(thread, path)
      continue
    }
    const returned = Number(/ = (-?\d+)[^=]*$/.exec(line)?.[1] ?? -1)
    if (returned < 0) continue
    if (flushes.includes(call)) count.flushes++
    if (writes.includes(call)) {
      count.bytes += returned
      if (synchronous.has(path)) count.flushes++
    }
  }
  return count
}

/** Linux's O_DSYNC; O_SYNC contains it. */
const dataSync = 0o10000

function openSynchronously(pid: number): Set<string> {
  const found = new Set<string>()
  for (const fd of readdirSync(`/proc/${pid}/fd`))
    try {
      const flags = /^flags:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'))?.[1]
      if (Number.parseInt(flags ?? '0', 8) & dataSync) found.add(readlinkSync(`/proc/${pid}/fd/${fd}`))
    } catch {
      // Closed since.
    }
  return found
}
