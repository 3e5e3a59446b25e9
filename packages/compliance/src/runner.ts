import { RaftkitError } from '@raftkit/contract'

type Body = () => Promise<void> | void

/**
 * The test functions of any runner: `{ describe, test }` of vitest, `{ describe, test }` of node:test, `{ describe, test: it }` of mocha.
 * They are called with a name and a function, never with a third argument: set the runner's timeout to 60 s or more beforehand.
 */
export interface Runner {
  readonly describe: (name: string, define: () => void) => unknown
  readonly test: ((name: string, body: Body) => unknown) & {
    /** Shows a test that cannot run here. Without it, such a test stands in the report under a name that says why, and passes. */
    readonly skip?: (name: string, body: Body) => unknown
  }
}

/** A body that has not settled by then has hung, and fails by name: runners without a timeout of their own would wait for ever. */
const patienceMs = 55_000

/** What the suites use of a runner. Throws `INVALID_OPTION`. */
export interface Suite {
  describe(name: string, define: () => void): void
  test(name: string, body: () => Promise<void>): void
  /** `why` stands in the test's name. */
  skip(name: string, why: string): void
}

export function suiteOf(runner: Runner): Suite {
  if (typeof runner?.describe !== 'function' || typeof runner.test !== 'function')
    throw new RaftkitError('INVALID_OPTION', 'a runner is an object with the functions `describe` and `test`')
  return {
    describe: (name, define) => {
      runner.describe(name, define)
    },
    test: (name, body) => {
      runner.test(name, () => settles(body(), name, patienceMs))
    },
    skip: (name, why) => {
      const { skip } = runner.test
      const shown = `${name} (skipped: ${why})`
      if (typeof skip === 'function') skip.call(runner.test, shown, () => undefined)
      else runner.test(shown, () => undefined)
    },
  }
}

/** Rejects when `promise` is still pending after `ms`; `what` says what hangs. */
export async function settles<T>(promise: Promise<T>, what: string, ms: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`still pending after ${ms} ms: ${what}`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
