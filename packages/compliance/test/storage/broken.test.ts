import assert from 'node:assert/strict'
import { pathToFileURL } from 'node:url'
import { storageCompliance } from '@raftkit/compliance'
import type { Storage } from '@raftkit/contract'
import { describe, expect, it, vi } from 'vitest'
import { bundle } from '../bundle.ts'
import { testsOf } from '../recorder.ts'
import { type Broken, brokenLogs, brokenSnapshots } from './broken.ts'

// A suite that never fails proves nothing: each of these adapters has one mistake, and fails the test that is meant for it.

vi.setConfig({ testTimeout: 60_000 })

type Open = (directory: string) => Storage

/** The tests that cannot run on this machine, by name. */
const skipped = new Set(
  [...testsOf((runner) => storageCompliance(runner, { open: () => assert.fail('never opened'), program: 'none' }))]
    .filter(([, body]) => !body)
    .map(([name]) => name.replace(/ \(skipped: .*\)$/, '')),
)

function found({ what, test, patches, says }: Broken): void {
  const title = `${what} fails “${test}”`
  if (skipped.has(test)) {
    it.skip(`${title} (skipped: that test cannot run here)`, () => undefined)
    return
  }
  it(title, async () => {
    const adapter = await bundle('storage/compliance.js', patches)
    try {
      const { open } = (await import(/* @vite-ignore */ pathToFileURL(adapter.path).href)) as { open: Open }
      const body = testsOf((runner) => storageCompliance(runner, { open, program: adapter.path })).get(test)
      expect(body, 'the test exists').toBeDefined()
      const error = await body!().then(
        () => assert.fail('the broken adapter passed'),
        (reason: unknown) => reason,
      )
      if (says) expect(String(error)).toMatch(says)
      else expect(error).toBeInstanceOf(assert.AssertionError)
    } finally {
      await adapter.remove()
    }
  })
}

describe('a broken log', () => {
  for (const broken of brokenLogs) found(broken)
})

describe('a broken snapshot store', () => {
  for (const broken of brokenSnapshots) found(broken)
})
