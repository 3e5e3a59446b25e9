import { isRaftkitError } from '@raftkit/contract'
import { expect } from 'vitest'

/** `run` must throw an error of that code, and not hold more memory for it than a few kilobytes. */
export function expectRefusal(run: () => unknown, ...codes: string[]): string {
  const before = process.memoryUsage().arrayBuffers
  let result: unknown
  try {
    result = run()
  } catch (error) {
    const grown = process.memoryUsage().arrayBuffers - before
    if (grown > 1_000_000) expect.fail(`${grown} bytes were allocated for nothing`)
    if (!isRaftkitError(error)) throw error
    expect(codes).toContain(error.code)
    return error.message
  }
  expect.fail(`nothing was thrown, but ${String(result)} returned`)
}

export const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))
export const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
