import { snapshotCompliance, storageCompliance } from '@raftkit/compliance'
import { RaftkitError } from '@raftkit/contract'
import { describe, expect, it } from 'vitest'
import { open } from '../template/storage/compliance.js'
import { testsOf } from './recorder.ts'

const nothing = (): void => undefined

describe('the injected runner', () => {
  it('is called with a name and a function, and nothing else', () => {
    const calls: unknown[][] = []
    const test = Object.assign((...args: unknown[]): void => void calls.push(args), {
      skip: (...args: unknown[]): void => void calls.push(args),
    })
    const group = (...args: [string, () => void]): void => {
      calls.push(args)
      args[1]()
    }
    storageCompliance({ describe: group, test }, { open, durable: false })
    expect(calls.length).toBeGreaterThan(80)
    for (const args of calls) expect(args.map((arg) => typeof arg)).toEqual(['string', 'function'])
  })

  it('shows what is skipped, with the reason in its name, where it can skip and where it cannot', () => {
    const skipped = /^a second process is refused .* \(skipped: the subject has no `program`\)$/
    const names: string[] = []
    const test = (name: string): void => void names.push(name)
    storageCompliance({ describe: (_, define) => define(), test }, { open })
    expect(names.filter((name) => skipped.test(name))).toHaveLength(1)

    const shown = testsOf((runner) => storageCompliance(runner, { open }))
    expect([...shown].filter(([name, body]) => skipped.test(name) && body === undefined)).toHaveLength(1)
    expect([...shown.values()].filter((body) => body !== undefined).length).toBeGreaterThan(80)
  })

  it('finds the snapshot suite in the storage suite, under the same names', () => {
    const all = testsOf((runner) => storageCompliance(runner, { open }))
    const snapshots = testsOf((runner) => snapshotCompliance(runner, { open }))
    expect(snapshots.size).toBeGreaterThan(15)
    for (const name of snapshots.keys()) expect(all.has(name), name).toBe(true)
  })

  it('is refused when it is none, as is a subject that says what there is not', () => {
    const runner = { describe: nothing, test: nothing }
    const refused = expect.objectContaining({ code: 'INVALID_OPTION' })
    for (const none of [undefined, {}, { describe: nothing }, { test: nothing }])
      expect(() => storageCompliance(none as never, { open })).toThrowError(refused)
    for (const none of [undefined, {}, { open, damge: 'loader' }, { open, damage: true }, { open, durable: 'yes' }]) {
      expect(() => storageCompliance(runner, none as never)).toThrowError(refused)
      expect(() => snapshotCompliance(runner, none as never)).toThrowError(refused)
    }
  })

  it('gets the failure of a test from its promise', async () => {
    const failing = testsOf((runner) =>
      storageCompliance(runner, {
        open: () => {
          throw new RaftkitError('STORAGE_FAILED', 'as the test wants it')
        },
      }),
    ).get('writes resolve in the order of the calls')
    await expect(failing?.()).rejects.toThrow('as the test wants it')
  })
})
