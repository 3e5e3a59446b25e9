import { cpuOf, diskOf, memoryOf } from '../../harness/machine.ts'
import type { Sample } from '../../harness/part.ts'

/** Whose consumption is read at the edges of the measured window, by whoever makes the load. */
export interface Watched {
  /** Processes of the members. */
  readonly members: readonly number[]
  /** Where they keep their files: what their disk does is counted, whoever asked for it. */
  readonly directory: string
}

/** Begins to count. `stop` ends it, and what that returns tells what was used, for each of so many operations. */
export function watch({ members, directory }: Watched): { stop(): (operations: number) => Sample } {
  const isMember = members.includes(process.pid)
  const read = () => ({
    members: members.reduce((sum, pid) => sum + cpuOf(pid), 0),
    own: isMember ? 0 : cpuOf(process.pid),
    disk: diskOf(directory),
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
          memoryMiB,
          ...(before.disk &&
            after.disk && {
              diskBytes: (after.disk.bytes - before.disk.bytes) / each / members.length,
              diskFlushes: (after.disk.flushes - before.disk.flushes) / each / members.length,
            }),
        }
      }
    },
  }
}
