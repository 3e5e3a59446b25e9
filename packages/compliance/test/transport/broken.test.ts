import { type TransportSubject, tcpWire, transportCompliance } from '@raftkit/compliance'
import { describe, expect, test } from 'vitest'
import { bundle, type Patch } from '../bundle.ts'
import { testsOf } from '../recorder.ts'
import { brokenConnections } from './broken-connections.ts'
import { brokenTransports } from './broken-transports.ts'

/** The template of a transport with a mistake that an author could make: the promise that it breaks, and what the suite says then. */
export interface Broken {
  readonly mistake: string
  readonly patches: readonly Patch[]
  /** The name of the test. */
  readonly promise: string
  readonly says: RegExp
  /** What breaks rests on how much the kernel happens to take at once: it shows in most runs of the test, not in each. */
  readonly sometimes?: true
}

describe('a broken transport fails where it is broken', { timeout: 60_000 }, () => {
  test.each([...brokenConnections, ...brokenTransports])('$mistake', async ({ patches, promise, says, sometimes }) => {
    const { url, remove } = await bundle('transport/compliance.js', patches)
    try {
      const adapter = (await import(/* @vite-ignore */ url)) as TransportSubject
      const subject = { ...adapter, program: url, wire: tcpWire, patience: 2500 }
      const run = testsOf((runner) => transportCompliance(runner, subject)).get(promise)
      expect(run, promise).toBeDefined()
      for (let left = sometimes ? 9 : 0; left > 0; left--) {
        const found = await run!().then(
          () => undefined,
          (error: unknown) => error,
        )
        if (found === undefined) continue
        expect(String(found)).toMatch(says)
        return
      }
      await expect(run?.()).rejects.toThrow(says)
    } finally {
      await remove()
    }
  })
})
