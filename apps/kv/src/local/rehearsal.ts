import { rm } from 'node:fs/promises'

export interface Rehearsal {
  /** Somebody wanted it to end: that is no failure. */
  readonly interrupted: boolean
  /** It took no longer than its limit. */
  done(): void
}

/** A demo leaves no process behind when it is interrupted or takes longer than `limit` milliseconds; interrupted, no files either. */
export function rehearsal(
  { directory, limit }: { readonly directory: string; readonly limit: number },
  endAll: () => Promise<void>,
  say: (line: string) => void,
): Rehearsal {
  let interrupted = false
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (interrupted) return
      interrupted = true
      void endAll()
        .then(() => rm(directory, { recursive: true, force: true }))
        .then(() => process.exit(130))
    })
  }
  const watchdog = setTimeout(() => {
    say(`this took longer than ${limit / 1000} s; what there is lies in ${directory}`)
    void endAll().then(() => process.exit(1))
  }, limit)
  return {
    get interrupted() {
      return interrupted
    },
    done: () => clearTimeout(watchdog),
  }
}
