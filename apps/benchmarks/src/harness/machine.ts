import { execFileSync } from 'node:child_process'
import { readFileSync, statfsSync, statSync } from 'node:fs'
import { arch, cpus, release, totalmem, type } from 'node:os'

/** What a result was measured on. Nothing in it tells whose machine it is. */
export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly memoryGiB: number
  readonly system: string
  readonly node: string
  readonly fileSystem: string
}

const fileSystems: Readonly<Record<number, string>> = {
  61267: 'ext4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  16914836: 'tmpfs',
  2035054128: 'overlayfs',
}

export function machine(directory: string): Machine {
  const type_ = statfsSync(directory).type
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release().split('-')[0]} ${arch()}`,
    node: process.version,
    fileSystem: fileSystems[type_] ?? `type 0x${type_.toString(16)}`,
  }
}

interface ProcessorTime {
  readonly at: number
  /** In seconds: everybody's, what a hypervisor took among it, and that of this process with all children that have ended. */
  readonly all: number
  readonly own: number
}

export function processorTime(): ProcessorTime {
  // user nice system idle iowait irq softirq steal, in ticks
  const all = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]!.split(/ +/).slice(1, 9).map(Number)
  const [, , , idle = 0, waiting = 0] = all
  const own = fieldsOf('self').slice(11, 15).map(Number)
  const sum = (ticks: readonly number[]) => ticks.reduce((a, b) => a + b, 0)
  return { at: performance.now() / 1000, all: (sum(all) - idle - waiting) / 100, own: sum(own) / 100 }
}

/** Cores that others kept busy since then, on average. */
export function othersSince(before: ProcessorTime): number {
  const now = processorTime()
  return Math.max(0, (now.all - before.all - (now.own - before.own)) / Math.max(0.01, now.at - before.at))
}

/** CPU time of a living process, threads included, in microseconds. The kernel counts it in ticks of 10 ms. */
export function cpuOf(pid: number): number {
  const [user, system] = fieldsOf(pid).slice(11, 13).map(Number)
  return (user! + system!) * 10_000
}

/** What stands in /proc/<pid>/stat after the command's name, which may hold spaces. */
function fieldsOf(pid: number | 'self'): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}

export interface Written {
  /** Bytes handed to `write` and its kin, pipes and sockets too. */
  readonly handed: number
  /**
   * Bytes of pages that were made dirty. Too many by far where a file was filled by large writes: a byte in it then counts as the
   * whole of a large folio (a MiB), although one block goes to the disk. `diskOf` sees what does.
   */
  readonly toDisk: number
}

export function writtenBy(pid: number | 'self'): Written {
  const io = readFileSync(`/proc/${pid}/io`, 'utf8')
  const field = (name: string) => Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(io)?.[1])
  return { handed: field('wchar'), toDisk: field('write_bytes') }
}

export interface Disk {
  /** Since the machine started, by everybody: a difference means something on a machine that does nothing else. */
  readonly bytes: number
  readonly flushes: number
}

/** The disk that a directory is on; undefined where there is none (tmpfs) or the kernel does not tell. */
export function diskOf(directory: string): Disk | undefined {
  const { dev } = statSync(directory)
  try {
    const stat = readFileSync(`/sys/dev/block/${dev >> 8}:${dev & 0xff}/stat`, 'utf8')
      .trim()
      .split(/ +/)
      .map(Number)
    return { bytes: stat[6]! * 512, flushes: stat[15]! }
  } catch {
    return undefined
  }
}

/** Resident memory of a living process, in bytes. */
export function memoryOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}

/** Whether a program is there to be run. */
export function isInstalled(program: string, ...version: string[]): boolean {
  try {
    execFileSync(program, version.length > 0 ? version : ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
