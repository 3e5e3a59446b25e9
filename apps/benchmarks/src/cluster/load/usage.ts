import { existsSync, readFileSync, statSync } from 'node:fs'
import { cpuOf, memoryOf, writtenBy } from '../../harness/machine.ts'
import type { Sample } from '../../harness/part.ts'

/** Whose consumption is read at the edges of the measured window, by whoever makes the load. */
export interface Watched {
  /** Processes of the members. */
  readonly members: readonly number[]
  /** Where they keep their files: its disk's flushes are counted, whoever asked for them. */
  readonly directory: string
}

interface Reading {
  readonly members: number
  readonly own: number
  readonly written: number
  readonly flushes: number | undefined
}

/** Begins to count. `stop` ends it, and what that returns tells what was used, for each of so many operations. */
export function watch({ members, directory }: Watched): { stop(): (operations: number) => Sample } {
  const device = deviceOf(directory)
  const isMember = members.includes(process.pid)
  const read = (): Reading => ({
    members: sum(members, cpuOf),
    own: isMember ? 0 : cpuOf(process.pid),
    written: sum(members, (pid) => writtenBy(pid).toDisk),
    flushes: device === undefined ? undefined : flushesOf(device),
  })
  const before = read()
  return {
    stop() {
      const after = read()
      const memoryMiB = Math.max(...members.map(memoryOf)) / 2 ** 20
      return (operations) => {
        const each = Math.max(1, operations)
        return {
          // Of all members together; an embedded one makes its load as well.
          memberCpuUs: (after.members - before.members) / each,
          generatorCpuUs: (after.own - before.own) / each,
          diskBytes: (after.written - before.written) / each / members.length,
          ...(before.flushes !== undefined &&
            after.flushes !== undefined && { deviceFlushes: (after.flushes - before.flushes) / each / members.length }),
          memoryMiB,
        }
      }
    },
  }
}

const sum = (pids: readonly number[], of: (pid: number) => number): number =>
  pids.reduce((all, pid) => all + of(pid), 0)

/** `major:minor` of the whole disk: the kernel does not count the flushes of partitions. */
function deviceOf(directory: string): string | undefined {
  const { dev } = statSync(directory)
  const own = `${(dev >> 8) & 0xfff}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}`
  const about = `/sys/dev/block/${own}`
  if (!existsSync(about)) return undefined
  return existsSync(`${about}/partition`) ? readFileSync(`${about}/../dev`, 'utf8').trim() : own
}

/** Flush requests that the disk has completed (Documentation/admin-guide/iostats.rst, field 16). */
function flushesOf(device: string): number | undefined {
  const line = readFileSync('/proc/diskstats', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find(([major, minor]) => `${major}:${minor}` === device)
  return line?.[18] === undefined ? undefined : Number(line[18])
}
