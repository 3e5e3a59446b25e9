import type { Runner } from '@raftkit/compliance'

/** A suite's tests by name, to be run one by one; undefined: it was skipped, with the reason in its name. */
export function testsOf(define: (runner: Runner) => void): Map<string, (() => Promise<void>) | undefined> {
  const tests = new Map<string, (() => Promise<void>) | undefined>()
  const add = (name: string, body: (() => Promise<void>) | undefined): void => {
    if (tests.has(name)) throw new Error(`two tests are called ${name}`)
    tests.set(name, body)
  }
  const test = (name: string, body: () => Promise<void> | void): void => add(name, async () => body())
  define({
    describe: (_, group) => group(),
    test: Object.assign(test, { skip: (name: string) => add(name, undefined) }),
  })
  return tests
}
