import { checksumSeed, crc32, encodeRecords, readRecord, recordKind, verifyRecord } from '@raftkit/bytes'
import { raft } from '@raftkit/core'
import { identity } from './protocol.ts'
import { Disagreement, isEqual, setU32, type Target, u32At } from './target.ts'

const genesis = '00112233445566778899aabbccddeeff'
const seed = checksumSeed(genesis, 'main')

const samples = [0, 1, 7, 200].map((length, i) => ({
  kind: ([recordKind.noop, recordKind.command, recordKind.command, recordKind.config] as const)[i]!,
  index: 7,
  term: 3 + i,
  time: 1_760_000_000_000 + i,
  seed: 0xdead_beef,
  payload: new Uint8Array(length).fill(i),
}))

/** Lengths that reach beyond the end are cut to it, so that the checksum has a place to be right in. */
export function sealRecords(bytes: Uint8Array, checksums: number): Uint8Array {
  for (let at = 0; at + 38 <= bytes.length; ) {
    const length = Math.min(Math.max(38, u32At(bytes, at)), bytes.length - at)
    setU32(bytes, at, length)
    setU32(bytes, at + 4, crc32(bytes, checksums, at + 8, at + length))
    at += length
  }
  return bytes
}

/** Log records, of disk and wire. */
export const record: Target = {
  name: 'record',
  weight: 8,
  parsers: {
    'packages/bytes/src/record.ts': /^(verifyRecord|readRecord)/,
  },
  seeds: async () => samples.map((one) => encodeRecords([one], seed)),
  seal: (bytes) => sealRecords(bytes, seed),
  fields: recordFields,
  open: async () => ({
    take(input) {
      const end = verifyRecord(input, 0, seed, 7)
      const found = readRecord(input, 0)
      if (!isEqual(encodeRecords([found], seed), input.subarray(0, end)))
        throw new Disagreement('a record that was verified is encoded otherwise')
    },
  }),
}

export function recordFields(bytes: Uint8Array): { at: number; size: number; kind: 'number' | 'length' | 'content' }[] {
  const fields: ReturnType<typeof recordFields> = []
  for (let at = 0; at + 38 <= bytes.length; ) {
    const length = Math.min(Math.max(38, u32At(bytes, at)), bytes.length - at)
    fields.push({ at, size: 4, kind: 'length' }, { at: at + 4, size: 4, kind: 'number' })
    for (const [offset, size] of [
      [8, 1],
      [9, 1],
      [10, 8],
      [18, 8],
      [26, 8],
      [34, 4],
    ] as const)
      fields.push({ at: at + offset, size, kind: 'number' })
    if (length > 38) fields.push({ at: at + 38, size: length - 38, kind: 'content' })
    at += length
  }
  return fields
}

/** A log as a server finds it when it starts: records with their terms, times and configurations. */
export const log: Target = {
  name: 'log',
  weight: 4,
  parsers: {
    'packages/core/src/log.ts': /^check/,
    'packages/core/src/config-encoding.ts': /^(decode|read)/,
  },
  refusals: ['DAMAGED'],
  seeds: async () => {
    const founded = await foundedLog()
    return [
      founded.records,
      ...samples.map((one, i) =>
        Buffer.concat([
          founded.records,
          encodeRecords(
            [
              {
                ...one,
                index: founded.count + 1,
                term: 1 + i,
                kind: one.kind === recordKind.config ? recordKind.command : one.kind,
              },
            ],
            founded.checksums,
          ),
        ]),
      ),
    ].map((bytes) => new Uint8Array(bytes))
  },
  seal: (bytes) => sealRecords(bytes, checksumsOfFounded),
  fields: recordFields,
  open: async () => {
    const { state } = await foundedLog()
    return {
      take(input) {
        let count = 0
        for (let at = 0; at + 4 <= input.length && count < 1000; at += Math.max(38, u32At(input, at))) count++
        const opening = raft.open({ ...identity, found: { state, first: 1, last: count } })
        if (count > 0) opening.load({ count, bytes: input })
        const server = opening.start(0)
        server.take(0)
        server.status()
      },
    }
  },
}

let checksumsOfFounded = 0

/** What a cluster of one writes when it is founded. */
async function foundedLog(): Promise<{ state: Uint8Array; records: Uint8Array; count: number; checksums: number }> {
  const opening = raft.open({ ...identity, founders: [{ id: 'n1', address: 'h:1' }], found: { first: 1, last: 0 } })
  const server = opening.start(0)
  let state: Uint8Array = new Uint8Array(0)
  const runs: Uint8Array[] = []
  let count = 0
  let now = 0
  for (let i = 0; i < 20; i++) {
    const { write, deadline } = server.take(now)
    if (write) {
      state = write.change.state ?? state
      if (write.change.tail) {
        runs.push(write.change.tail.run.bytes)
        count += write.change.tail.run.count
      }
      server.step({ type: 'durable', write: write.id }, now)
    } else {
      now = Math.max(now + 1, deadline ?? 0)
      server.step({ type: 'time' }, now)
    }
  }
  checksumsOfFounded = checksumSeed(server.status().genesis, 'main')
  return { state, records: new Uint8Array(Buffer.concat(runs)), count, checksums: checksumsOfFounded }
}
