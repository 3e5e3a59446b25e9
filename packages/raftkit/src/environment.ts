import type { Environment } from '@raftkit/contract'

/** The longest delay a platform timer takes; a longer wait is made of several. */
const maxDelay = 2 ** 31 - 1

/**
 * Clock, timers and randomness of the platform: what a node uses unless it is given another `Environment`.
 * No `node:` module is imported, so the package also loads in a browser.
 */
export function platformEnvironment(): Environment {
  const { performance, crypto } = globalThis
  return {
    now: () => performance.now(),
    wall: () => Date.now(),
    at(time, run) {
      let timer: ReturnType<typeof setTimeout>
      const arm = (): void => {
        // Platform timers round to whole milliseconds and may be a little early; `at` never is.
        const delay = Math.min(Math.max(0, Math.ceil(time - performance.now())), maxDelay)
        timer = setTimeout(() => (performance.now() >= time ? run() : arm()), delay)
      }
      arm()
      return () => clearTimeout(timer)
    },
    // setImmediate runs after the poll phase, that is, after the I/O that is ready. A page has only timers.
    soon: typeof setImmediate === 'function' ? (run) => void setImmediate(run) : (run) => void setTimeout(run, 0),
    random: (into) => void crypto.getRandomValues(into),
  }
}

/** `bytes` random bytes as lower-case hex. */
export function randomHex(environment: Environment, bytes: number): string {
  const into = new Uint8Array(bytes)
  environment.random(into)
  return Array.from(into, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** 32 random bits at each call. Drawn by the hundred: a call of the platform costs more than the bits. */
export function randomSeeds(environment: Environment): () => number {
  const seeds = new Uint32Array(256)
  let next = seeds.length
  return () => {
    if (next === seeds.length) {
      environment.random(new Uint8Array(seeds.buffer))
      next = 0
    }
    return seeds[next++]!
  }
}
