import { encodeRecords, recordKind } from '@raftkit/bytes'
import type { LogStore, RaftkitError } from '@raftkit/contract'
import { memoryStorage } from '@raftkit/storage-memory'
import { describe, expect, test } from 'vitest'
import { Applier } from '../src/applier.ts'
import { failure } from '../src/failure.ts'
import { platformEnvironment } from '../src/index.ts'
import { until } from './cluster.ts'
import { bytes, Journal } from './journal.ts'

const seed = 7
const count = 5000
/** Several reads of the log. */
const padding = 'x'.repeat(1000)

async function written(change: (records: Uint8Array) => void = () => {}): Promise<LogStore> {
  const log = await memoryStorage().log('main')
  const records = Array.from({ length: count }, (_, at) => ({
    kind: recordKind.command,
    ...{ index: at + 1, term: 1, time: 0, seed: 0, payload: bytes(`${at + 1} ${padding}`) },
  }))
  const run = encodeRecords(records, seed)
  change(run)
  await log.write({ tail: { at: 1, run: { count, bytes: run } } })
  return log
}

function applying(log: LogStore, machine: Journal) {
  const told = { applied: 0, failed: undefined as RaftkitError | undefined }
  const events = {
    applied: (_: number, to: number) => {
      told.applied = to
    },
    restored: () => {},
    failed: (error: RaftkitError) => {
      told.failed = error
    },
  }
  const applier = new Applier(machine, log, platformEnvironment(), { index: 0, term: 0 }, events, () => seed)
  applier.apply({ from: 1, to: count })
  return { applier, told }
}

const ignored = (): void => {}

describe('what is not in memory any more is read from the log', () => {
  test('entry by entry, in order, whether the machine answers at once or later', async () => {
    for (const slow of [false, true]) {
      const machine = new Journal()
      machine.slow = slow
      const { applier, told } = applying(await written(), machine)
      await until(() => {
        const { release } = machine
        machine.release = undefined
        release?.()
        return told.applied === count
      })
      expect(machine.texts.map((text) => Number.parseInt(text, 10))).toEqual(
        Array.from({ length: count }, (_, at) => at + 1),
      )
      expect(applier.term).toBe(1)
      expect(told.failed).toBe(undefined)
    }
  })

  test('and nothing behind an entry as which the machine is to be looked at, before it was', async () => {
    for (const slow of [false, true]) {
      const machine = new Journal()
      machine.slow = slow
      const { applier, told } = applying(await written(), machine)
      const seen: (readonly [number, number])[] = []
      const places = [1, 1023, 1024, 1025, 4321, count]
      for (const place of [...places].reverse())
        applier.at(
          place,
          () => void seen.push([applier.index, machine.texts.length]),
          () => expect.fail('it was not past'),
        )
      await until(() => {
        const { release } = machine
        machine.release = undefined
        release?.()
        return told.applied === count
      })
      expect(seen).toEqual(places.map((place) => [place, place]))
      applier.at(count, () => void seen.push([0, 0]), ignored)
      expect(seen.at(-1)).toEqual([0, 0])
      expect(await new Promise<RaftkitError>((fail) => applier.at(7, ignored, fail))).toMatchObject({
        code: 'INVARIANT',
      })
    }
  })

  test('an entry that is not what was written stops it, after all before it are applied', async () => {
    const machine = new Journal()
    const { told } = applying(
      await written((records) => {
        records[records.length - 1]! ^= 1
      }),
      machine,
    )
    await until(() => told.failed !== undefined)
    expect(told.failed?.code).toBe('DAMAGED')
    expect(machine.texts.length).toBe(told.applied)
    expect(told.applied).toBeGreaterThan(0)
  })

  test('once it is stopped, it leaves the log alone before it says so', async () => {
    const log = await written()
    const read = log.read.bind(log)
    let letRead: (() => void) | undefined
    log.read = async (from, to, maxBytes) => {
      if (from > 1) await new Promise<void>((resolve) => (letRead = resolve))
      return read(from, to, maxBytes)
    }
    const machine = new Journal()
    machine.slow = true
    const { applier, told } = applying(log, machine)
    await until(() => machine.release !== undefined && letRead !== undefined)
    let left = false
    const stopped = applier.stop(failure(new Error('closed'), 'CLOSED', 'it is closed')).then(() => {
      left = true
    })
    machine.release!()
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(left).toBe(false)
    letRead!()
    await stopped
    expect(told).toEqual({ applied: 0, failed: undefined })
  })
})
