import { readFileSync } from 'node:fs'
import { fromHex, toHex } from '@raftkit/bytes'
import { describe, expect, test } from 'vitest'
import { encodeHead } from '../src/base.ts'
import {
  checkpointStatement,
  decodeMessage,
  encodeMessage,
  encodeRequest,
  headerHash,
  leadStatement,
  type Message,
  termCertificateHash,
  termVoteStatement,
  voteStatement,
} from '../src/index.ts'
import { Used } from '../src/used.ts'
import { child, founding, Signers, sha256, zeros } from './keys.ts'

/*
 * Golden vectors: what was written once is read for ever. A change of the layout needs a new format number and a second set; a change of
 * what is signed makes every certificate on a disk worthless.
 */

const four = new Signers(4)
const request = encodeRequest({
  client: four.keys[0]!.public,
  session: 2 ** 53 - 1,
  seq: 3,
  operations: [new Uint8Array([1, 2]), new Uint8Array(0)],
  signature: new Uint8Array(64).fill(9),
})
const entry = child(founding, [request, request], { term: 2, time: 1_700_000_000_000 })
const place = { term: 2, index: 1, hash: headerHash(sha256, entry.header) }
const signature = four.certificate('append', place, [0]).signatures[0]!.signature
const lock = four.certificate('append', place, [0, 2, 3])
const certificate = four.termCertificate(3, [place, undefined, { ...place, term: 1 }], lock)
const proof = four.mandate(certificate)

const checkpoint = { epoch: 0, index: 512, hash: place.hash, position: 4711, root: zeros }

const messages: Record<string, Message> = {
  appendEntries: {
    type: 'appendEntries',
    epoch: 0,
    term: 3,
    entries: [entry, child(entry)],
    signature,
    proof,
  },
  appendNothing: { type: 'appendEntries', epoch: 1, term: 0, entries: [], signature, proof: undefined },
  appendVote: { type: 'vote', epoch: 0, phase: 'append', place, signature },
  commitVote: { type: 'vote', epoch: 2 ** 53 - 1, phase: 'commit', place, signature },
  preVote: { type: 'preVote', epoch: 0, term: 7 },
  requestVote: { type: 'requestVote', epoch: 0, term: 3, vote: four.termVote(1, 3, place), lock },
  requestVoteWithout: { type: 'requestVote', epoch: 0, term: 3, vote: four.termVote(1, 3, undefined), lock: undefined },
  certified: { type: 'certified', certificate: { ...lock, phase: 'commit' } },
  termCertified: { type: 'termCertified', certificate },
  fetch: { type: 'fetch', hash: place.hash, above: 4 },
  fetched: { type: 'fetched', entries: [entry] },
  forward: { type: 'forward', requests: [request] },
  witness: { type: 'witness', epoch: 0, signer: 3, phase: 'append', place, signature },
  evidence: { type: 'evidence', bytes: new Uint8Array([1, 0, 2]) },
  forked: { type: 'forked', dump: new Uint8Array([1]) },
  epochs: { type: 'epochs', steps: [{ entry, certificate: { ...lock, phase: 'commit' } }] },
  configure: { type: 'configure', item: new Uint8Array([1, 7]) },
  checkpoint: { type: 'checkpoint', checkpoint, signature },
  checkpointed: { type: 'checkpointed', certificate: { checkpoint, signatures: lock.signatures } },
  fetchPages: { type: 'fetchPages', index: 512, root: zeros, at: 8 },
  page: { type: 'page', root: zeros, at: 1, count: 3, path: [place.hash, zeros], bytes: new Uint8Array([1, 2, 3]) },
}

const statements: Record<string, Uint8Array> = {
  'statement append': voteStatement(four.members.domain, 'append', place),
  'statement commit': voteStatement(four.members.domain, 'commit', place),
  'statement term': termVoteStatement(four.members.domain, 3, place),
  'statement checkpoint': checkpointStatement(four.members.domain, checkpoint),
  'statement term without': termVoteStatement(four.members.domain, 3, undefined),
  'statement lead': leadStatement(four.members.domain, 3, termCertificateHash(sha256, certificate)),
}

const used = new Used()
used.take(child(founding, [request]))

const vectors = (): Record<string, string> =>
  Object.fromEntries([
    // Members of different versions must agree on it to the byte.
    ['head of a checkpoint', toHex(encodeHead({ entry, used }))],
    ...Object.entries(messages).map(([name, message]) => [name, toHex(encodeMessage(message))]),
    ...Object.entries(statements).map(([name, bytes]) => [name, toHex(bytes)]),
  ])

describe('messages and signed statements keep their layout', () => {
  const golden = JSON.parse(readFileSync(new URL('golden/vectors.json', import.meta.url), 'utf8')) as Record<
    string,
    string
  >

  test('as the golden file holds it', () => expect(vectors()).toEqual(golden))

  test.each(Object.keys(messages))('%s is read back as it was', (name) => {
    expect(decodeMessage(fromHex(golden[name]!))).toEqual(messages[name])
  })

  test('no two statements are equal, or one the beginning of another', () => {
    const all = Object.values(statements).map(toHex)
    for (const a of all) expect(all.filter((b) => b.startsWith(a))).toEqual([a])
  })
})

describe('bytes that are no message', () => {
  test.each(Object.entries(messages))('%s: cut anywhere, or with a byte too many', (_, message) => {
    const bytes = encodeMessage(message)
    for (let cut = 0; cut < bytes.length; cut++)
      expect(() => decodeMessage(bytes.subarray(0, cut))).toThrow('MALFORMED')
    expect(() => decodeMessage(new Uint8Array([...bytes, 0]))).toThrow('MALFORMED')
  })

  test.each(Object.entries(messages))(
    '%s: any byte altered gives MALFORMED, UNKNOWN_FORMAT or one other message',
    (_, message) => {
      const bytes = encodeMessage(message)
      for (let at = 0; at < bytes.length; at++) {
        for (const byte of [0x00, 0x01, 0xff]) {
          if (bytes[at] === byte) continue
          const altered = bytes.slice()
          altered[at] = byte
          let read: Message
          try {
            read = decodeMessage(altered)
          } catch (error) {
            expect(String(error)).toMatch(/MALFORMED|UNKNOWN_FORMAT/)
            continue
          }
          // One encoding for each message: what was accepted says exactly these bytes.
          expect(Buffer.compare(encodeMessage(read), altered)).toBe(0)
        }
      }
    },
  )

  test('a count beyond what is there allocates nothing', () => {
    const bytes = encodeMessage(messages.forward!)
    bytes.set([0xff, 0xff, 0xff, 0xff], 2)
    expect(() => decodeMessage(bytes)).toThrow('does not fit')
  })

  test('another format is told from damage', () => {
    expect(() => decodeMessage(new Uint8Array([2, 1]))).toThrow('UNKNOWN_FORMAT')
    expect(() => decodeMessage(new Uint8Array([1, 99]))).toThrow('MALFORMED')
  })
})
