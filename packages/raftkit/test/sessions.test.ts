import { encodeValue } from '@raftkit/bytes'
import type { Command } from '@raftkit/contract'
import { describe, expect, it } from 'vitest'
import { closeEntry, commandEntry, openEntry } from '../src/entry.ts'
import { defineMachine } from '../src/machine.ts'
import { Refusal } from '../src/refusal.ts'
import { type ReplicatedMachine, replicate } from '../src/replicate.ts'
import { decodeResult, readResult } from '../src/result.ts'
import { sessionWindow } from '../src/sessions.ts'

const counter = defineMachine({
  initial: () => ({ n: 0 }),
  commands: {
    increment: (state) => ++state.n,
    refuse: (state) => {
      state.n++
      throw new Refusal(`refused at ${state.n}`)
    },
  },
  queries: { read: (state) => state.n },
})

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** One log, and the machine that follows it. */
class Log {
  readonly machine: ReplicatedMachine = replicate(counter)
  readonly entries: Command[] = []

  place(data: Uint8Array): Uint8Array {
    const command = { index: this.entries.length + 1, time: this.entries.length, seed: 0, data }
    this.entries.push(command)
    return this.machine.apply([command])[0]!
  }

  open(client: number, limit = 10_000): number {
    const result = readResult(this.place(openEntry(new Uint8Array(16).fill(client), limit)))
    if (result.type !== 'opened') throw new Error(`opening was answered ${result.type}`)
    return result.session
  }

  send(session: number, seq: number, low = seq, name = 'increment'): Uint8Array {
    return this.place(commandEntry({ session, seq, low }, name, encodeValue(undefined)))
  }

  get count(): unknown {
    return this.machine.query({ name: 'read', input: undefined })
  }
}

const expired = expect.objectContaining({ code: 'SESSION_EXPIRED', outcome: 'unknown' })

describe('a session (thesis §6.3)', () => {
  it('Q8: a retried command is executed once and answered with the recorded result', () => {
    const log = new Log()
    const session = log.open(1)
    const first = log.send(session, 1)
    expect(decodeResult(first)).toBe(1)
    log.send(session, 2, 1)
    expect(log.send(session, 1)).toEqual(first)
    expect(log.count).toBe(2)
  })

  it('Q8: a refusal is recorded like any result', () => {
    const log = new Log()
    const session = log.open(1)
    const first = log.send(session, 1, 1, 'refuse')
    expect(log.send(session, 1, 1, 'refuse')).toEqual(first)
    expect(() => decodeResult(first)).toThrow('refused at 1')
    expect(log.count).toBe(1)
  })

  it('executes commands in whichever order they come', () => {
    const log = new Log()
    const session = log.open(1)
    expect([3, 1, 2, 3, 1].map((seq) => decodeResult(log.send(session, seq, 1)))).toEqual([1, 2, 3, 1, 2])
  })

  it('is found again by an opening that is repeated', () => {
    const log = new Log()
    const session = log.open(1)
    log.send(session, 1)
    expect(log.open(1)).toBe(session)
    expect(log.open(2)).not.toBe(session)
    expect(log.machine.sessions).toBe(2)
    log.send(session, 1)
    expect(log.count).toBe(1)
  })

  it('forgets answers below the low-water mark, and executes nothing below it', () => {
    const log = new Log()
    const session = log.open(1)
    for (let seq = 1; seq <= 100; seq++) log.send(session, seq, 1)
    const full = log.machine.encode().length
    log.send(session, 101, 101)
    expect(log.machine.encode().length).toBeLessThan(full - 99 * 12)
    expect(() => decodeResult(log.send(session, 100))).toThrow(expired)
    expect(log.count).toBe(101)
  })

  it('holds a bounded number of answers: nothing beyond the window is executed', () => {
    const log = new Log()
    const session = log.open(1)
    expect(decodeResult(log.send(session, sessionWindow, 1))).toBe(1)
    expect(() => decodeResult(log.send(session, sessionWindow + 1, 1))).toThrow(expired)
    expect(decodeResult(log.send(session, sessionWindow + 1, 2))).toBe(2)
    // However far the mark jumps, at once and without trace of what was below.
    expect(decodeResult(log.send(session, 2 ** 52, 2 ** 52))).toBe(3)
    expect(() => decodeResult(log.send(session, sessionWindow, sessionWindow))).toThrow(expired)
  })

  it('B62: goes on at sequence numbers near 2^31 and 2^53', () => {
    const log = new Log()
    const session = log.open(1)
    const seqs = [2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53 - 2, 2 ** 53 - 1]
    expect(seqs.map((seq) => decodeResult(log.send(session, seq)))).toEqual([1, 2, 3, 4, 5])
    expect(decodeResult(log.send(session, 2 ** 53 - 1))).toBe(5)
  })

  it('ends when it is closed; closing it again changes nothing', () => {
    const log = new Log()
    const session = log.open(1)
    log.send(session, 1)
    log.place(closeEntry(session))
    log.place(closeEntry(session))
    expect(log.machine.sessions).toBe(0)
    expect(() => decodeResult(log.send(session, 2))).toThrow(expired)
    expect(log.count).toBe(1)
  })
})

describe('Q9: eviction', () => {
  it('takes the session that was not used for longest; a retry in it is definitely expired and never executed', () => {
    const log = new Log()
    const [a, b] = [log.open(1, 2), log.open(2, 2)]
    log.send(b, 1)
    log.send(a, 1)
    const c = log.open(3, 2)
    expect(log.machine.sessions).toBe(2)
    expect(() => decodeResult(log.send(b, 1))).toThrow(expired)
    expect(() => decodeResult(log.send(b, 2))).toThrow(expired)
    expect(decodeResult(log.send(a, 1))).toBe(2)
    expect(decodeResult(log.send(c, 1))).toBe(3)
    expect(log.count).toBe(3)
  })

  it('counts a repeated command and a repeated opening as use', () => {
    const log = new Log()
    const [a, b] = [log.open(1, 2), log.open(2, 2)]
    log.send(a, 1)
    log.send(b, 1)
    log.send(a, 1)
    const c = log.open(3, 2)
    expect(decodeResult(log.send(a, 1))).toBe(1)
    log.open(3, 2)
    log.open(4, 2)
    expect(decodeResult(log.send(c, 1))).toBe(3)
    expect(() => decodeResult(log.send(a, 1))).toThrow(expired)
  })

  it('tells up to which index the evicted may have been used, which never falls', () => {
    const log = new Log()
    const horizonOf = (bytes: Uint8Array): number => {
      const result = readResult(bytes)
      return result.type === 'expired' ? result.horizon : Number.NaN
    }
    const a = log.open(1, 2) // 1
    log.open(2, 2) // 2
    log.send(a, 1) // 3
    log.open(3, 2) // 4: evicts the second, last used at 2
    expect(horizonOf(log.send(2, 1))).toBe(2)
    log.open(4, 2) // 6: evicts a, last used at 3
    expect(horizonOf(log.send(a, 2))).toBe(3)
    expect(horizonOf(log.send(2, 1))).toBe(3)
  })

  it('is decided by the log alone: a replica that restored a snapshot in the middle evicts alike', async () => {
    const log = new Log()
    const evictions: number[] = []
    let random = 1
    const next = (below: number): number => {
      random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0
      return (random >>> 8) % below
    }
    const sessions: number[] = []
    let restored: ReplicatedMachine | undefined
    for (let step = 0; step < 600; step++) {
      if (sessions.length === 0 || next(4) === 0) sessions.push(log.open(step % 251, 1 + next(5)))
      else log.send(sessions[next(sessions.length)]!, 1 + next(6), 1)
      const entry = log.entries.at(-1)!
      if (restored) {
        restored.apply([entry])
        expect(hex(restored.encode())).toBe(hex(log.machine.encode()))
      }
      if (step % 50 === 25) {
        restored = replicate(counter)
        await restored.restore(log.machine.snapshot())
        evictions.push(log.machine.sessions)
      }
    }
    expect(new Set(evictions).size).toBeGreaterThan(1)
    const replayed = replicate(counter)
    replayed.apply(log.entries)
    expect(hex(replayed.encode())).toBe(hex(log.machine.encode()))
  })
})
