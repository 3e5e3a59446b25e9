import { isRaftkitError } from '@raftkit/contract'
import type { Message } from '@raftkit/core'
import { raft } from '@raftkit/core'
import { roundTrip, type Target } from './target.ts'

const config = {
  format: 1,
  members: [
    { id: 'n1', address: '127.0.0.1:7001', incarnation: 'a'.repeat(32), role: 'voter' },
    { id: 'n2', address: '127.0.0.1:7002', incarnation: 'b'.repeat(32), role: 'outgoing' },
    { id: 'n3', incarnation: 'c'.repeat(32), role: 'learner' },
  ],
} as const

const snapshot = { name: '9-2-abc', index: 9, term: 2, bytes: 1000, configIndex: 1, time: 1_760_000_000_000, config }

const messages: readonly Message[] = [
  { type: 'requestVote', term: 5, pre: true, transfer: false, ballot: 3, lastIndex: 9, lastTerm: 2 },
  { type: 'vote', term: 5, forTerm: 5, pre: false, granted: true, ballot: 3 },
  {
    type: 'appendEntries',
    term: 5,
    round: 2,
    prevIndex: 9,
    prevTerm: 2,
    commit: 8,
    count: 1,
    records: [new Uint8Array(38)],
  },
  { type: 'appendEntries', term: 5, round: 2, prevIndex: 9, prevTerm: 2, commit: 8, count: 0, records: [] },
  { type: 'appended', term: 5, round: 2, match: 9, received: 12 },
  { type: 'rejected', term: 5, round: 2, prevIndex: 9, hintIndex: 4, hintTerm: 1, last: 4 },
  { type: 'offerSnapshot', term: 5, round: 2, snapshot },
  { type: 'fetchSnapshot', name: '9-2-abc', offset: 65_536, maxBytes: 100_000 },
  { type: 'snapshotChunk', name: '9-2-abc', offset: 65_536, checksum: 0xcafe, bytes: Uint8Array.of(1, 2, 3) },
  { type: 'timeoutNow', term: 5 },
  { type: 'handOver', term: 5, id: 1, to: 'n2' },
  { type: 'handOverRefused', id: 1, code: 'NOT_LEADER', reason: 'this node does not lead' },
  {
    type: 'forward',
    term: 5,
    proposals: [
      { id: 1, kind: 'command', time: 1_760_000_000_000, seed: 7, data: Uint8Array.of(1, 1, 0, 0) },
      { id: 2, kind: 'change', time: 1_760_000_000_000, seed: 8, data: new Uint8Array(0) },
    ],
  },
  {
    type: 'forwardResult',
    placements: [
      { id: 1, index: 10, term: 5 },
      { id: 2, code: 'OVERLOADED', reason: 'too much is waiting' },
    ],
  },
  { type: 'readIndex', id: 4 },
  { type: 'readIndexResult', id: 4, index: 9 },
  { type: 'readIndexResult', id: 4, index: undefined },
  { type: 'removed', index: 9 },
  {
    type: 'found',
    done: true,
    founders: [
      { id: 'n1', address: 'h:1', incarnation: 'a'.repeat(32) },
      { id: 'n2', address: undefined, incarnation: 'b'.repeat(32) },
    ],
  },
]

/** Of a server of Raft by itself. */
export const identity = {
  id: 'n1',
  cluster: 'fuzz',
  group: 'main',
  incarnation: 'a'.repeat(32),
  seed: 1,
  maxMessageBytes: 4_194_304,
}

const server = () => raft.open({ ...identity, found: { first: 1, last: 0 } }).start(0)

/** Every message of Raft. */
export const message: Target = {
  name: 'message',
  weight: 14,
  parsers: {
    'packages/core/src/encoding.ts': /^(decode|read)/,
    'packages/core/src/config-encoding.ts': /^(decode|read)/,
    'packages/core/src/durable.ts': /^(decode|read)/,
  },
  seeds: async () => {
    const { encode } = wire()
    return messages.map(encode)
  },
  open: async () => {
    const { decode, encode } = wire()
    return { take: (input) => roundTrip(input, decode, encode) }
  },
}

function wire(): { decode: (bytes: Uint8Array) => Message; encode: (message: Message) => Uint8Array } {
  const protocol = server()
  return {
    decode: (bytes) => protocol.decode(bytes),
    encode: (message) => new Uint8Array(Buffer.concat(protocol.encode(message))),
  }
}

/** What it writes first differs by its boot number alone, and can be opened in turn. */
function reopen(bytes: Uint8Array, log: { first: number; last: number }): void {
  const again = raft
    .open({ ...identity, found: { state: bytes, ...log } })
    .start(0)
    .take(0).write?.change.state
  if (again)
    raft
      .open({ ...identity, found: { state: again, ...log } })
      .start(0)
      .take(0)
}

/** The state that a server must not forget, as it is found when it starts. */
export const state: Target = {
  name: 'state',
  weight: 5,
  parsers: {
    'packages/core/src/durable.ts': /^(decode|read)/,
    'packages/core/src/opening.ts': /^(open|load|start|read|damaged)$/,
  },
  refusals: ['DAMAGED', 'REFUSED'],
  seeds: async () => {
    const fresh = server().take(0).write!.change.state!
    const founding = raft.open({ ...identity, founders: [{ id: 'n1', address: 'h:1' }], found: { first: 1, last: 0 } })
    const founded = founding.start(0).take(0).write!.change.state!
    // The last byte says that there is no snapshot.
    const point = server()
      .encode({ type: 'offerSnapshot', term: 5, round: 2, snapshot })[0]!
      .slice(2 + 8 + 8)
    const compacted = Buffer.concat([founded.subarray(0, -1), Uint8Array.of(1), point])
    return [fresh, founded, compacted].map((bytes) => new Uint8Array(bytes))
  },
  open: async () => ({
    take(input) {
      try {
        reopen(input, { first: 1, last: 0 })
      } catch (error) {
        // It may name a snapshot, behind which the log must begin.
        if (!isRaftkitError(error, 'DAMAGED') || !/before its snapshot/.test(error.message)) throw error
        reopen(input, { first: 10, last: 9 })
      }
    },
  }),
}
