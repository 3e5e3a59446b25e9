import { readFileSync } from 'node:fs'
import { fromHex, toHex } from '@raftkit/bytes'
import { isRaftkitError } from '@raftkit/contract'
import { describe, expect, test } from 'vitest'
import { decodeMessage, encodeMessage } from '../src/encoding.ts'
import type { Message } from '../src/index.ts'
import { trio } from './script.ts'

const config = {
  format: 1,
  members: [
    { id: 'a', address: 'host:1', incarnation: '0'.repeat(32), role: 'voter' },
    { id: 'b', incarnation: '1'.repeat(32), role: 'joining' },
  ],
} as const
const snapshot = { name: '9-a-1', index: 9, term: 3, bytes: 1000, config, configIndex: 1, time: 123 }
const bytes = Uint8Array.of(1, 2, 3)

/** One of each, and both of what may be absent. */
const messages: Record<string, Message> = {
  requestVote: {
    type: 'requestVote',
    term: 3,
    pre: true,
    ballot: 2 ** 32 + 7,
    lastIndex: 5,
    lastTerm: 2,
    transfer: false,
  },
  'requestVote for a transfer': {
    type: 'requestVote',
    term: 3,
    pre: false,
    ballot: 8,
    lastIndex: 5,
    lastTerm: 2,
    transfer: true,
  },
  vote: { type: 'vote', term: 2, forTerm: 3, pre: true, ballot: 7, granted: true },
  appendEntries: {
    type: 'appendEntries',
    term: 3,
    round: 9,
    prevIndex: 4,
    prevTerm: 2,
    commit: 4,
    count: 1,
    records: [bytes],
  },
  heartbeat: { type: 'appendEntries', term: 3, round: 9, prevIndex: 4, prevTerm: 2, commit: 4, count: 0, records: [] },
  appended: { type: 'appended', term: 3, round: 9, match: 5, received: Number.MAX_SAFE_INTEGER },
  rejected: { type: 'rejected', term: 3, round: 9, prevIndex: 4, hintIndex: 2, hintTerm: 1, last: 2 },
  offerSnapshot: { type: 'offerSnapshot', term: 3, round: 9, snapshot },
  fetchSnapshot: { type: 'fetchSnapshot', name: '9-a-1', offset: 512, maxBytes: 4096 },
  snapshotChunk: { type: 'snapshotChunk', name: '9-a-1', offset: 512, checksum: 0xdeadbeef, bytes },
  timeoutNow: { type: 'timeoutNow', term: 3 },
  forward: {
    type: 'forward',
    term: 3,
    proposals: [
      { id: 1, kind: 'command', time: 5, seed: 6, data: bytes },
      { id: 2, kind: 'change', time: 5, seed: 0, data: bytes },
    ],
  },
  forwardResult: {
    type: 'forwardResult',
    placements: [
      { id: 1, index: 6, term: 3 },
      { id: 2, code: 'OVERLOADED', reason: 'try again later' },
    ],
  },
  readIndex: { type: 'readIndex', id: 11 },
  readIndexResult: { type: 'readIndexResult', id: 11, index: 6 },
  'readIndexResult of one that leads no more': { type: 'readIndexResult', id: 11, index: undefined },
  removed: { type: 'removed', index: 6 },
  found: {
    type: 'found',
    done: false,
    founders: [
      { id: 'a', address: 'host:1', incarnation: '0'.repeat(32) },
      { id: 'b', address: undefined, incarnation: '' },
    ],
  },
}

const whole = (message: Message): Uint8Array => Uint8Array.from(encodeMessage(message).flatMap((part) => [...part]))

/** Where the messages carry bytes of their own to the end, a cut is found by the records' and chunks' own checksums. */
const open = ['appendEntries', 'snapshotChunk']

describe('messages', () => {
  const golden = JSON.parse(readFileSync(new URL('golden/messages.json', import.meta.url), 'utf8')) as Record<
    string,
    string
  >

  test('the golden file holds one vector for each of these messages', () => {
    expect(Object.keys(golden).sort()).toEqual(Object.keys(messages).sort())
  })

  for (const [name, message] of Object.entries(messages)) {
    test(`${name} is written as it always was, and read back`, () => {
      expect(toHex(whole(message))).toBe(golden[name])
      expect(decodeMessage(fromHex(golden[name]!))).toEqual(message)
    })

    test(`${name}: every cut, and every byte too many, is MALFORMED`, () => {
      const bytes = whole(message)
      const head = encodeMessage(message)[0]!.length
      const cuts = open.includes(message.type) ? head : bytes.length
      for (let length = 0; length < cuts; length++) {
        const code = codeOf(() => decodeMessage(bytes.subarray(0, length)))
        expect(code, `cut to ${length}`).toBe('MALFORMED')
      }
      if (!open.includes(message.type))
        expect(codeOf(() => decodeMessage(Uint8Array.of(...bytes, 0)))).toBe('MALFORMED')
    })

    test(`${name}: whatever byte is changed, it is read as something or refused by code`, () => {
      const bytes = whole(message)
      for (let at = 0; at < bytes.length; at++) {
        for (const value of [0, 1, 0x7f, 0xff]) {
          const changed = bytes.slice()
          changed[at] = value
          const code = codeOf(() => decodeMessage(changed))
          expect([undefined, 'MALFORMED', 'UNKNOWN_FORMAT'], `byte ${at} = ${value}`).toContain(code)
        }
      }
    })
  }

  test('another format is refused by name, an unknown tag as malformed', () => {
    expect(codeOf(() => decodeMessage(Uint8Array.of(2, 1)))).toBe('UNKNOWN_FORMAT')
    expect(codeOf(() => decodeMessage(Uint8Array.of(1, 99)))).toBe('MALFORMED')
  })

  test.each(['', '.', '../1-1-a', '1-1-a\r', '1-1-ä'])(
    'a snapshot that is named %j is malformed: stores are asked for names alone',
    (name) => {
      const offer = messages.offerSnapshot as Extract<Message, { type: 'offerSnapshot' }>
      for (const message of [
        { ...offer, snapshot: { ...offer.snapshot, name } },
        { type: 'fetchSnapshot', name, offset: 0, maxBytes: 1 },
        { type: 'snapshotChunk', name, offset: 0, checksum: 0, bytes: new Uint8Array(0) },
      ] satisfies Message[])
        expect(codeOf(() => decodeMessage(whole(message)))).toBe('MALFORMED')
    },
  )

  test('a count that promises more than there is allocates nothing', () => {
    const forward = whole(messages.forward!)
    forward.fill(0xff, 10, 14)
    expect(codeOf(() => decodeMessage(forward))).toBe('MALFORMED')
  })

  test('the protocol encodes and decodes them', () => {
    const { a } = trio()
    expect(a.raft.decode(whole(messages.vote!))).toEqual(messages.vote)
    expect(a.raft.encode(messages.appendEntries!)).toHaveLength(2)
  })
})

function codeOf(run: () => unknown): string | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    if (!isRaftkitError(error)) throw error
    return error.code
  }
}
