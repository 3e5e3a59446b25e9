import { readFile, rm } from 'node:fs/promises'
import { type Failing, strace } from './calls.ts'
import { Child, type Script } from './child.ts'
import { straceMissing } from './strace.ts'
import type { StorageSubject } from './subject.ts'

export interface Traced {
  readonly trace: string
  /** What the process said. */
  readonly lines: readonly string[]
}

/** Runs the script in a process under strace, to its end. `failing`: which flush fails. */
export async function runTraced(
  program: string | URL,
  directory: string,
  script: Script,
  failing?: Failing,
): Promise<Traced> {
  const output = `${directory}.trace`
  try {
    const child = await Child.start(program, directory, script, strace(output, failing))
    await child.end()
    return { trace: await readFile(output, 'latin1'), lines: child.lines }
  } finally {
    await rm(output, { force: true })
  }
}

/** Why the adapter cannot be traced here; undefined when it can. */
export function untraceable({ durable, program, untraced }: StorageSubject): string | undefined {
  if (durable === false) return 'nothing outlives the process'
  if (program === undefined) return 'the subject has no `program`'
  return untraced ?? straceMissing()
}
