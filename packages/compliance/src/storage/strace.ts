import { execFileSync } from 'node:child_process'

let missing: string | undefined

/** Why system calls cannot be recorded on this machine; undefined when they can. */
export function straceMissing(): string | undefined {
  if (missing === undefined)
    try {
      execFileSync('strace', ['-o', '/dev/null', 'true'], { stdio: 'ignore' })
      missing = ''
    } catch {
      missing = 'strace is not on the PATH, or may not trace'
    }
  return missing || undefined
}
