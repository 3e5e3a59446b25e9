import { pathToFileURL } from 'node:url'
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
}

describe('a broken transport fails where it is broken', { timeout: 60_000 }, () => {
  test.each([...brokenConnections, ...brokenTransports])('$mistake', async ({ patches, promise, says }) => {
    const { path, remove } = await bundle('transport/compliance.js', patches)
    try {
      const adapter = (await import(/* @vite-ignore */ pathToFileURL(path).href)) as TransportSubject
      const subject = { ...adapter, program: path, wire: tcpWire, patience: 2500 }
      const run = testsOf((runner) => transportCompliance(runner, subject)).get(promise)
      expect(run, promise).toBeDefined()
      await expect(run?.()).rejects.toThrow(says)
    } finally {
      await remove()
    }
  })
})
