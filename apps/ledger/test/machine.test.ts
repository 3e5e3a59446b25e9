import { toHex } from '@raftkit/bytes'
import { decodeResult, encodeCommand, type ReplicatedMachine, replicate } from 'raftkit'
import { describe, expect, test } from 'vitest'
import { type Content, hashAfter, type LedgerEntry, ledger, mostContentBytes, type Tip } from '../src/machine.ts'

const alice = new Uint8Array(32).fill(1)
let index = 1
function run(machine: ReplicatedMachine, name: string, input: unknown, client?: Uint8Array): unknown {
  const command = { index: ++index, time: 1_700_000_000_000 + index, seed: 0, data: encodeCommand(name, input) }
  return decodeResult(machine.apply([client ? { ...command, client } : command])[0]!)
}
const append = (machine: ReplicatedMachine, content: Content, client = alice): LedgerEntry =>
  run(machine, 'append', { content }, client) as LedgerEntry
const range = (machine: ReplicatedMachine, from: number, to: number): LedgerEntry[] | null =>
  machine.query({ name: 'range', input: { from, to } }) as LedgerEntry[] | null

describe('the ledger', () => {
  test('numbers its entries without gaps, and says who signed each and when', () => {
    const machine = replicate(ledger)
    const [one, two] = [
      append(machine, 'one'),
      append(
        machine,
        { amount: 2, to: ['b'] },
        alice.map((byte) => byte + 1),
      ),
    ]
    expect([one.number, two.number]).toEqual([1, 2])
    expect(one.author).toBe(toHex(alice))
    expect(two.author).toBe('02'.repeat(32))
    expect(two.time).toBe(1_700_000_000_000 + two.position)
    expect(range(machine, 1, 2)).toEqual([one, two])
    expect(range(machine, 2, 2)).toEqual([two])
    expect(range(machine, 1, 3)).toBeNull()
  })

  test('has a hash at each entry that covers all before it: no word of it can change unseen', () => {
    const machine = replicate(ledger)
    const entries = ['a', 'b', 'c'].map((content) => append(machine, content))
    let hash = '00'.repeat(32)
    for (const entry of entries) {
      expect(hashAfter(hash, entry)).toBe(entry.hash)
      for (const change of [{ content: 'x' }, { author: '' }, { time: 1 }, { number: 9 }, { position: 9 }])
        expect(hashAfter(hash, { ...entry, ...change })).not.toBe(entry.hash)
      hash = entry.hash
    }
    expect(run(machine, 'tip', undefined)).toEqual({ entries: 3, hash } satisfies Tip)
  })

  test('is the same on a member that restored a snapshot, and goes on alike', async () => {
    const [one, two] = [replicate(ledger), replicate(ledger)]
    for (const content of ['a', null, true, 3.5]) append(one, content)
    await two.restore(one.snapshot())
    const before = index
    const next = append(one, 'next')
    index = before
    expect(append(two, 'next')).toEqual(next)
    expect(await two.hash()).toEqual(await one.hash())
  })

  test('takes no entry that is larger than the limit, and is not changed by it', () => {
    const machine = replicate(ledger)
    expect(() => append(machine, 'x'.repeat(mostContentBytes))).toThrow('at most')
    expect(append(machine, 'x'.repeat(mostContentBytes - 5)).number).toBe(1)
  })
})
