import { describe, expect, test } from 'vitest'
import { Branches } from '../src/branches.ts'
import { leavesOf } from '../src/entry.ts'
import {
  type Certificate,
  decodeCommitted,
  decodeRequest,
  type Entry,
  encodeCommitted,
  encodeReceipt,
  encodeRequest,
  headerHash,
  itemsRoot,
  Members,
  merklePath,
  type Proven,
  positionsOf,
  type Receipt,
  receiptIn,
  receiptOf,
  requestCheck,
  type Settings,
  type Trust,
  verifyReceipt,
} from '../src/index.ts'
import { child, founding, isSigned, Key, Signers, sha256 } from './keys.ts'

const four = new Signers(4)
const genesis = four.members.genesis.hash
const trust: Trust = { digest: sha256, epochs: [four.members] }
const verify = (bytes: Uint8Array, by: Trust = trust): Proven =>
  verifyReceipt(bytes, by, (checks) => checks.map(isSigned))

const alice = new Key('alice')
let seq = 1
function request(count: number, key = alice): Uint8Array {
  const operations = Array.from({ length: count }, (_, at) => new TextEncoder().encode(`operation ${seq + at}`))
  const unsigned = { client: key.public, session: 9, seq, operations, signature: new Uint8Array(0) }
  seq += count
  return encodeRequest({ ...unsigned, signature: key.sign(requestCheck(sha256, genesis, unsigned).bytes) })
}

/** Entries behind the founding, each of requests of so many operations; none at all is a noop. */
function chain(...entries: readonly (readonly number[])[]): Entry[] {
  const made = [founding]
  for (const [at, counts] of entries.entries())
    made.push(
      child(
        made.at(-1)!,
        counts.map((count) => request(count)),
        { time: 1_700_000_000_000 + at },
      ),
    )
  return made
}

const place = ({ header }: Entry, term = 0) => ({ term, index: header.index, hash: headerHash(sha256, header) })

/** A member that has committed them all. */
function holder(entries: readonly Entry[], commit: Certificate) {
  const tree = new Branches(sha256, entries[0]!)
  for (const entry of entries.slice(1)) tree.add(entry)
  return { settings: { digest: sha256 } as Settings, commit, tree }
}

const entries = chain([1], [3, 1, 2], [], [64], [1, 1, 1, 1, 5])
const last = entries.at(-1)!
const commit = four.certificate('commit', place(last, 2), [0, 2, 3])
const member = holder(entries, commit)
const everything = entries.flatMap(({ header, items }) => {
  let position = header.position
  return (header.kind === 'data' ? items : []).flatMap((item) =>
    decodeRequest(item).operations.map((_, at) => ({ position: ++position, first: position - at, item, header })),
  )
})

describe('a receipt', { timeout: 60_000 }, () => {
  test('proves to whoever knows the public keys which request stands at which position, and since when', () => {
    expect(everything.map(({ position }) => position)).toEqual([
      ...[2, 3, 4, 5, 6, 7, 8],
      ...Array.from({ length: 73 }, (_, at) => 10 + at),
    ])
    for (const { position, first, item, header } of everything) {
      const proven = verify(receiptOf(member, position)!)
      expect(proven).toEqual({
        request: decodeRequest(item),
        hash: headerHash(sha256, header),
        epoch: 0,
        index: header.index,
        position: first,
        time: header.time,
        term: 2,
        signers: ['m0', 'm2', 'm3'],
      })
    }
  })

  test('is there for requests alone, and for what is committed', () => {
    for (const position of [0, 1, 9, 83, Number.MAX_SAFE_INTEGER]) expect(receiptOf(member, position)).toBeUndefined()
    const [early, late] = [entries[2]!, 10]
    const behind = holder(entries, four.certificate('commit', place(early), [0, 1, 2]))
    expect(receiptOf(behind, late)).toBeUndefined()
    expect(verify(receiptOf(behind, 3)!).index).toBe(2)
    expect(receiptOf({ ...member, commit: undefined }, 2)).toBeUndefined()
    // What lies before a checkpoint is gone; what the checkpoint stands on is there.
    const pruned = holder(entries, commit)
    pruned.tree.prune(headerHash(sha256, early.header), [])
    expect(receiptOf(pruned, 2)).toBeUndefined()
    expect(verify(receiptOf(pruned, 3)!).index).toBe(2)
  })

  test('is made of what was kept, however little of it: no other entries are needed than those committed together', () => {
    const [first, second] = [entries.slice(1, 3), entries.slice(3)]
    const kept = [
      { certificate: four.certificate('commit', place(first.at(-1)!), [0, 1, 2]), entries: first },
      { certificate: commit, entries: second },
    ].map((one) => decodeCommitted(encodeCommitted(one)))
    expect(kept.map(positionsOf)).toEqual([
      { from: 2, to: 8 },
      { from: 9, to: 82 },
    ])
    for (const { position, item } of everything) {
      const receipts = kept.flatMap((one) => receiptIn(sha256, one, position) ?? [])
      expect(receipts.map((receipt) => verify(receipt).request)).toEqual([decodeRequest(item)])
    }
    for (const position of [1, 9, 83]) for (const one of kept) expect(receiptIn(sha256, one, position)).toBeUndefined()
    expect(() => decodeCommitted(encodeCommitted(kept[0]!).subarray(0, 90))).toThrow('MALFORMED')
    expect(() => decodeCommitted(new Uint8Array([9]))).toThrow('UNKNOWN_FORMAT')
  })

  test.each([2, 4, 10, 78])('with any byte altered is refused (of position %i)', (position) => {
    const receipt = receiptOf(member, position)!
    for (let at = 0; at < receipt.length; at++)
      for (const flip of [0x01, 0xff]) {
        const altered = receipt.slice()
        altered[at]! ^= flip
        expect(() => verify(altered), `byte ${at} of ${receipt.length}, ${flip}`).toThrow(
          /REFUSED|MALFORMED|UNKNOWN_FORMAT/,
        )
      }
  })

  test('cut anywhere, or with a byte too many, is none', () => {
    const receipt = receiptOf(member, 4)!
    for (let cut = 0; cut < receipt.length; cut++) expect(() => verify(receipt.subarray(0, cut))).toThrow('MALFORMED')
    expect(() => verify(new Uint8Array([...receipt, 0]))).toThrow('MALFORMED')
  })
})

describe('a liar makes no receipt', () => {
  const entry = entries[2]!
  const honest: Receipt = {
    certificate: commit,
    headers: entries.slice(2).map(({ header }) => header),
    at: 1,
    count: 3,
    before: 3,
    path: merklePath(sha256, leavesOf(entry.items), 1),
    request: entry.items[1]!,
  }
  const refuses = (receipt: Partial<Receipt>, why: string, by: Trust = trust): void =>
    expect(() => verify(encodeReceipt({ ...honest, ...receipt }), by)).toThrow(why)

  test('(the receipt that it starts from is one)', () => {
    expect(encodeReceipt(honest)).toEqual(receiptOf(member, 6))
    expect(verify(encodeReceipt(honest)).position).toBe(6)
  })

  test('from fewer signatures than a quorum, from one counted twice, or from a stranger', () => {
    const { signatures } = commit
    const of = (...list: Certificate['signatures']): Partial<Receipt> => ({
      certificate: { ...commit, signatures: list },
    })
    refuses(of(...signatures.slice(1)), '2 signatures where 3 are due')
    refuses(of(signatures[0]!, signatures[0]!, signatures[1]!), 'its signers do not rise')
    refuses(of(...signatures.slice(0, 2), { ...signatures[2]!, signer: 4 }), 'no member has number 4')
    refuses(
      of({ ...signatures[0]!, signer: 0 }, { ...signatures[1]!, signer: 1 }, signatures[2]!),
      'of m1 does not hold',
    )
  })

  test('from a lock, which commits nothing, even where its signatures hold', () => {
    refuses({ certificate: four.certificate('append', commit.place, [0, 1, 2]) }, 'commits nothing')
    const relabelled = { ...four.certificate('append', commit.place, [0, 1, 2]), phase: 'commit' as const }
    refuses({ certificate: relabelled }, 'the signature of m0 does not hold')
  })

  test('from a certificate of another cluster, epoch or term', () => {
    const other = new Members(sha256, 0, four.members.list, { index: 0, hash: '11'.repeat(32) })
    refuses({}, 'does not hold', { digest: sha256, epochs: [other] })
    refuses({ certificate: { ...commit, epoch: 1 } }, 'whose members are not known')
    refuses({ certificate: { ...commit, place: { ...commit.place, term: 3 } } }, 'the signature of m0 does not hold')
  })

  test('from entries that do not hang together, or are not what was certified', () => {
    const { headers } = honest
    refuses({ headers: [headers[0]!, ...headers.slice(2)] }, 'do not hang together')
    refuses({ headers: headers.slice(0, -1) }, 'for another entry')
    refuses({ headers: [] }, 'no entry is in it')
    refuses({ headers: [{ ...headers[0]!, time: 1 }, ...headers.slice(1)] }, 'do not hang together')
    refuses({ headers: headers.slice(1) }, 'holds no request')
  })

  test('for another place in the entry than the one it has', () => {
    refuses({ before: 4 }, 'not at that place')
    refuses({ at: 2 }, 'not at that place')
    refuses({ count: 4 }, 'not at that place')
    refuses({ request: entry.items[0]! }, 'not at that place')
  })

  test('for what no client signed, though a quorum certified it', () => {
    const forged = encodeRequest({ ...decodeRequest(request(1)), signature: new Uint8Array(64) })
    const made = child(founding, [forged])
    const proof = holder([founding, made], four.certificate('commit', place(made), [0, 1, 2]))
    expect(() => verify(receiptOf(proof, 2)!)).toThrow('the signature of the client does not hold')
  })

  test('for what is no request, though a quorum certified it', () => {
    const item = new Uint8Array([1, 2, 3])
    const header = { ...child(founding, [request(1)]).header, root: itemsRoot(sha256, [item]) }
    const certificate = four.certificate('commit', place({ header, items: [] }), [0, 1, 2])
    refuses({ certificate, headers: [header], at: 0, count: 1, before: 0, path: [], request: item }, 'no request')
  })
})
