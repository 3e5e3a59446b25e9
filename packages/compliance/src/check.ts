import assert from 'node:assert/strict'
import { type ErrorCode, isRaftkitError } from '@raftkit/contract'

// The checks that more than one suite needs. Everything else is node:assert/strict.

/** Fails unless `promise` rejects with a Raftkit error of one of `codes`. */
export async function rejects(
  promise: Promise<unknown>,
  codes: ErrorCode | readonly ErrorCode[],
  what: string,
): Promise<void> {
  const wanted = typeof codes === 'string' ? [codes] : codes
  const error = await promise.then(
    () => assert.fail(`${what} must reject ${wanted.join(' or ')}, but resolved`),
    (reason: unknown) => reason,
  )
  if (error instanceof assert.AssertionError) throw error
  assert.ok(
    isRaftkitError(error),
    `${what} must reject with a RaftkitError ${wanted.join(' or ')}, but rejected with ${String(error)}`,
  )
  assert.ok(
    wanted.includes(error.code),
    `${what} must reject ${wanted.join(' or ')}, but rejected with ${error.message}`,
  )
}

/** Fails unless both hold the same bytes. Says where they part, not what they hold. */
export function sameBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  assert.ok(actual instanceof Uint8Array, `${what}: wanted a Uint8Array`)
  assert.equal(actual.length, expected.length, `${what}: wanted ${expected.length} bytes, got ${actual.length}`)
  if (Buffer.compare(actual, expected) === 0) return
  const at = actual.findIndex((byte, i) => byte !== expected[i])
  assert.fail(`${what}: byte ${at} of ${expected.length} is ${actual[at]} and should be ${expected[at]}`)
}

/** Remembers bytes that were handed over or received, to find out whether anybody has changed, detached or reused them since. */
export class Watched {
  readonly #bytes: Uint8Array
  readonly #then: Uint8Array
  readonly #what: string

  private constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes
    this.#then = new Uint8Array(bytes)
    this.#what = what
  }

  /** What the suite hands over: the bytes around the view are its own, too. */
  static given(bytes: Uint8Array, what: string): Watched {
    return new Watched(new Uint8Array(bytes.buffer), what)
  }

  static received(bytes: Uint8Array, what: string): Watched {
    return new Watched(bytes, what)
  }

  unchanged(): void {
    sameBytes(this.#bytes, this.#then, `${this.#what}, looked at again (they are never changed, detached or pooled)`)
  }
}

/** A small generator, so that every run is the same: an integer from 0 up to and without `below`. */
export function random(seed: number): (below: number) => number {
  let x = seed >>> 0
  return (below) => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0
    return Math.floor((x / 2 ** 32) * below)
  }
}
