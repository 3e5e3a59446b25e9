import { describe, expect, test } from 'vitest'
import {
  claimStatement,
  decodeEvidence,
  type Entry,
  type Evidence,
  encodeEvidence,
  encodeRequest,
  headerHash,
  type ItemProof,
  inOrder,
  leadStatement,
  leafOf,
  leavesOf,
  merklePath,
  type Place,
  type Request,
  requestCheck,
  type SignedClaim,
  type TermCertificate,
  termCertificateHash,
  type Verdict,
  verifyEvidence,
  voteStatement,
} from '../src/index.ts'
import { child, founding, isSigned, Key, Signers, sha256, zeros } from './keys.ts'

const four = new Signers(4)
const { members } = four
const cluster = members.genesis.hash
const settings = {
  digest: sha256,
  members,
  cluster,
  verify: (checks: readonly Parameters<typeof isSigned>[0][]) => checks.map(isSigned),
}
const judged = (evidence: Evidence): Verdict | undefined => verifyEvidence(encodeEvidence(evidence), settings)

const text = (words: string): Uint8Array => new TextEncoder().encode(words)
const alice = new Key('alice')
function request(words: string[], seq: number, key = alice): Uint8Array {
  const unsigned: Request = {
    client: alice.public,
    session: 1,
    seq,
    operations: words.map(text),
    signature: new Uint8Array(0),
  }
  return encodeRequest({ ...unsigned, signature: key.sign(requestCheck(sha256, cluster, unsigned).bytes) })
}

const place = ({ header }: Entry, term = header.term): Place => ({
  term,
  index: header.index,
  hash: headerHash(sha256, header),
})
const claims = (signer: number) => ({
  vote: (type: 'append' | 'commit', of: Place): SignedClaim => signed(signer, { type, place: of }),
  term: (term: number, lock?: Place): SignedClaim => signed(signer, { type: 'term', term, lock }),
  lead: (certificate: TermCertificate): SignedClaim =>
    signed(signer, { type: 'lead', term: certificate.term, proof: termCertificateHash(sha256, certificate) }),
})
function signed(signer: number, claim: SignedClaim['claim']): SignedClaim {
  return { claim, signature: four.keys[signer]!.sign(claimStatement(members.domain, claim)) }
}
function contradiction(signer: number, a: SignedClaim, b: SignedClaim, headers: Entry['header'][] = []): Evidence {
  const [first, second] = inOrder(a, b)
  return { type: 'contradiction', epoch: 0, signer, first, second, headers }
}

// Two branches: a1 – a2 – a3, and b1 – b2.
const a1 = child(founding, [request(['a'], 1)])
const a2 = child(a1, [request(['b', 'c'], 2)])
const a3 = child(a2, [request(['d'], 4)])
const b1 = child(founding, [request(['x'], 9)])
const b2 = child(b1)

describe('two votes of one member in one term', () => {
  const { vote } = claims(2)

  test('for two entries at one index name it, and its leader by what it proposed (E1, E2)', () => {
    const found = judged(contradiction(2, vote('append', place(a2)), vote('append', place(b2))))
    expect(found).toMatchObject({ who: 'm2', lie: 'E2' })
    expect(found?.what).toContain('append votes of term 0')
    const leads = claims(0)
    expect(judged(contradiction(0, leads.vote('append', place(a2)), leads.vote('append', place(b2))))).toMatchObject({
      who: 'm0',
      lie: 'E1',
    })
    expect(judged(contradiction(2, vote('commit', place(a2)), vote('commit', place(b2))))).toMatchObject({
      who: 'm2',
      lie: 'E2',
    })
  })

  test('on two branches name it, by the headers between (E3)', () => {
    const between = [a3.header, a2.header]
    for (const phase of ['append', 'commit'] as const) {
      const votes = [vote(phase, place(b1)), vote(phase, place(a3))] as const
      expect(judged(contradiction(2, ...votes, between))).toMatchObject({ who: 'm2', lie: 'E3' })
      expect(judged(contradiction(2, ...votes, [a3.header]))).toBeUndefined()
      expect(judged(contradiction(2, ...votes, [a3.header, b2.header]))).toBeUndefined()
    }
  })

  test('on one branch, of two terms, or of two phases name nobody', () => {
    expect(
      judged(contradiction(2, vote('append', place(a1)), vote('append', place(a3)), [a3.header, a2.header])),
    ).toBeUndefined()
    expect(judged(contradiction(2, vote('append', place(a2)), vote('append', place(b2, 1))))).toBeUndefined()
    expect(judged(contradiction(2, vote('append', place(a2)), vote('commit', place(b2))))).toBeUndefined()
    expect(judged(contradiction(2, vote('append', place(a2)), vote('append', place(a2))))).toBeUndefined()
  })

  test('must both be its own, of this epoch and cluster', () => {
    const real = contradiction(2, vote('append', place(a2)), vote('append', place(b2))) as Extract<
      Evidence,
      { type: 'contradiction' }
    >
    expect(judged({ ...real, signer: 1 })).toBeUndefined()
    expect(judged({ ...real, signer: 9 })).toBeUndefined()
    expect(judged({ ...real, epoch: 1 })).toBeUndefined()
    const later = new Signers(4, 1)
    expect(
      verifyEvidence(encodeEvidence({ ...real, epoch: 1 }), { ...settings, members: later.members }),
    ).toBeUndefined()
    expect(judged({ ...real, first: real.second, second: real.first })).toBeUndefined()
  })
})

describe('a term vote', () => {
  const { vote, term } = claims(1)

  test('that hides the lock of an earlier commit vote names its author (E4, F6)', () => {
    expect(judged(contradiction(1, vote('commit', place(a2)), term(1)))).toMatchObject({ who: 'm1', lie: 'E4' })
    expect(judged(contradiction(1, vote('commit', place(a2)), term(3, place(a1))))).toMatchObject({ lie: 'E4' })
    expect(judged(contradiction(1, vote('commit', place(a2)), term(3, place(b2))))).toMatchObject({ lie: 'E4' })
  })

  test('that states it, or a higher one, or is not later, names nobody', () => {
    expect(judged(contradiction(1, vote('commit', place(a2)), term(1, place(a2))))).toBeUndefined()
    expect(judged(contradiction(1, vote('commit', place(a2)), term(2, place(b2, 1))))).toBeUndefined()
    expect(judged(contradiction(1, vote('commit', place(a2, 2)), term(2)))).toBeUndefined()
    expect(judged(contradiction(1, vote('append', place(a2)), term(1)))).toBeUndefined()
  })

  test('given twice for one term with two locks, or later with a lower one, names its author (E2, E4)', () => {
    expect(judged(contradiction(1, term(2, place(a2)), term(2)))).toMatchObject({ lie: 'E2' })
    expect(judged(contradiction(1, term(2, place(a2)), term(3, place(a1))))).toMatchObject({ lie: 'E4' })
    expect(judged(contradiction(1, term(2, place(a1)), term(3, place(a2))))).toBeUndefined()
    expect(judged(contradiction(1, term(2), term(3)))).toBeUndefined()
  })
})

describe('a leader of a term', () => {
  const lock = four.certificate('append', place(a2), [0, 2, 3])
  const bound = four.termCertificate(1, [place(a2), undefined, undefined], lock)
  const free = four.termCertificate(1, [undefined, undefined, undefined])
  const lead = claims(1)
  const voteFor = (of: Entry, headers: Entry['header'][] = []) => ({
    ...{ place: place(of, 1), headers },
    signature: four.keys[1]!.sign(voteStatement(members.domain, 'append', place(of, 1))),
  })
  const badTerm = (certificate: TermCertificate, vote?: ReturnType<typeof voteFor>): Evidence => ({
    ...{ type: 'badTerm', epoch: 0, certificate, vote },
    signature: four.keys[1]!.sign(leadStatement(members.domain, 1, termCertificateHash(sha256, certificate))),
  })

  test('that proposes what does not follow from the certificate it leads under is named (E6, F9)', () => {
    expect(judged(badTerm(bound, voteFor(a1)))).toMatchObject({ who: 'm1', lie: 'E6' })
    expect(judged(badTerm(bound, voteFor(b2)))).toMatchObject({ who: 'm1', lie: 'E6' })
    const onB = child(b2, [], { term: 1 })
    expect(judged(badTerm(bound, voteFor(onB, [onB.header])))).toMatchObject({ who: 'm1', lie: 'E6' })
    expect(
      judged(
        badTerm(free, voteFor({ ...a1, header: { ...a1.header, parent: zeros } }, [{ ...a1.header, parent: zeros }])),
      ),
    ).toMatchObject({ lie: 'E6' })
  })

  test('and by the certificate of another quorum nobody is judged: it was not shown', () => {
    expect(judged(badTerm(free, voteFor(b2, [b2.header, b1.header])))).toBeUndefined()
    expect(judged(badTerm(bound, voteFor(a2)))).toBeUndefined()
    expect(judged(badTerm(bound, voteFor(a3, [a3.header])))).toBeUndefined()
    const real = badTerm(free) as Extract<Evidence, { type: 'badTerm' }>
    expect(judged({ ...real, certificate: bound, vote: voteFor(b2) })).toBeUndefined()
  })

  test('under a certificate that is none is named, and only then (E6, F10)', () => {
    expect(judged(badTerm(bound))).toBeUndefined()
    const twice = { ...free, votes: [free.votes[0]!, free.votes[0]!, free.votes[1]!] }
    expect(judged(badTerm(twice))).toMatchObject({ who: 'm1', lie: 'E6' })
    const forged = { ...free, votes: free.votes.map((vote) => ({ ...vote, signature: new Uint8Array(64) })) }
    expect(judged(badTerm(forged))).toMatchObject({ who: 'm1', lie: 'E6' })
    const hidden = { ...bound, lock: undefined }
    expect(judged(badTerm(hidden))).toMatchObject({ lie: 'E6' })
  })

  test('under two certificates is named', () => {
    expect(judged(contradiction(1, lead.lead(bound), lead.lead(free)))).toMatchObject({ who: 'm1', lie: 'E6' })
    expect(judged(contradiction(1, lead.lead(bound), lead.lead(bound)))).toBeUndefined()
  })
})

describe('an entry of a leader that nobody may vote for (E5)', () => {
  const signature = (of: Entry): Uint8Array => four.keys[0]!.sign(voteStatement(members.domain, 'append', place(of)))
  type Invalid = Extract<Evidence, { type: 'invalidEntry' }>
  const invalid = (tip: Entry, headers: Entry[], flaw: Invalid['flaw'], depth = 0): Invalid => ({
    ...{ type: 'invalidEntry', epoch: 0, place: place(tip), signature: signature(tip), depth, flaw },
    headers: headers.map(({ header }) => header),
  })
  const proof = ({ items }: Entry, at: number): ItemProof => {
    const leaf = leavesOf(items)[at]!
    const before = new DataView(leaf.buffer, leaf.byteOffset).getUint32(0, true)
    expect(leafOf(before, items[at]!)).toEqual(leaf)
    return { item: items[at]!, before, at, count: items.length, path: merklePath(sha256, leavesOf(items), at) }
  }

  test.each([
    ['a gap', { index: 3 }],
    ['older time', { time: -1 }],
    ['another epoch', { epoch: 1 }],
    ['no items', { kind: 'data', root: child(a1).header.root }],
    ['items where none are due', { kind: 'noop', root: a2.header.root }],
  ] as const)('%s, which the headers show (F21)', (_, more) => {
    const base = more && 'time' in more ? child(founding, [], { time: 5 }) : a1
    const bad = child(base, [], 'time' in more ? { time: 4 } : more)
    expect(judged(invalid(bad, [bad, base], { type: 'header' }))).toMatchObject({ who: 'm0', lie: 'E5' })
    // The same lie further up in a batch.
    const above = { ...child(bad), header: { ...child(bad).header, epoch: 0 } }
    expect(judged(invalid(above, [above, bad, base], { type: 'header' }, 1))).toMatchObject({
      who: 'm0',
      lie: 'E5',
    })
  })

  test('a wrong position, by the items of its parent', () => {
    const bad = child(a2, [], { position: a2.header.position + 1 })
    expect(judged(invalid(bad, [bad, a2], { type: 'position', items: a2.items }))).toMatchObject({ lie: 'E5' })
    expect(judged(invalid(a3, [a3, a2], { type: 'position', items: a2.items }))).toBeUndefined()
    expect(judged(invalid(a3, [a3, a2], { type: 'position', items: a1.items }))).toBeUndefined()
  })

  test('what is no request, or what no client signed (F15)', () => {
    const unsigned = request(['forged'], 60, new Key('mallory'))
    const bad = child(a1, [request(['fine'], 50), new Uint8Array([1, 2, 3]), unsigned, new Uint8Array([9])])
    expect(judged(invalid(bad, [bad, a1], { type: 'item', proof: proof(bad, 1) }))).toMatchObject({ lie: 'E5' })
    expect(judged(invalid(bad, [bad, a1], { type: 'item', proof: proof(bad, 2) }))).toMatchObject({ lie: 'E5' })
    expect(judged(invalid(bad, [bad, a1], { type: 'item', proof: proof(bad, 0) }))).toBeUndefined()
    // Its author may know a format that others do not.
    expect(judged(invalid(bad, [bad, a1], { type: 'item', proof: proof(bad, 3) }))).toBeUndefined()
  })

  test('a number that was used before, in it or in an entry below (F20)', () => {
    const bad = child(a2, [request(['p'], 9), request(['q', 'r'], 8), request(['c'], 3)])
    expect(
      judged(invalid(bad, [bad, a2], { type: 'repeated', proof: proof(bad, 1), depth: 0, earlier: proof(bad, 0) })),
    ).toMatchObject({ lie: 'E5' })
    expect(
      judged(invalid(bad, [bad, a2], { type: 'repeated', proof: proof(bad, 2), depth: 1, earlier: proof(a2, 0) })),
    ).toMatchObject({ lie: 'E5' })
    expect(
      judged(invalid(bad, [bad, a2], { type: 'repeated', proof: proof(bad, 0), depth: 1, earlier: proof(a2, 0) })),
    ).toBeUndefined()
    for (const at of [0, 1, 2])
      expect(
        judged(invalid(bad, [bad, a2], { type: 'repeated', proof: proof(bad, at), depth: 0, earlier: proof(bad, at) })),
      ).toBeUndefined()
  })

  test('frames nobody: an honest entry, items that the header does not hold, entries of an older term, another key', () => {
    expect(judged(invalid(a2, [a2, a1], { type: 'header' }))).toBeUndefined()
    expect(judged(invalid(a2, [a2, a1], { type: 'item', proof: proof(a2, 0) }))).toBeUndefined()
    const forged = child(a1, [new Uint8Array([1, 2, 3])])
    expect(judged(invalid(a2, [a2, a1], { type: 'item', proof: proof(forged, 0) }))).toBeUndefined()
    // Proposed again in term 1 by m1, which did not make it.
    const again = place(forged, 1)
    const byNext = four.keys[1]!.sign(voteStatement(members.domain, 'append', again))
    const taken = {
      ...invalid(forged, [forged, a1], { type: 'item', proof: proof(forged, 0) }),
      place: again,
      signature: byNext,
    }
    expect(judged(taken)).toBeUndefined()
    const vote = four.keys[2]!.sign(voteStatement(members.domain, 'append', place(forged)))
    expect(judged({ ...taken, place: place(forged), signature: vote })).toBeUndefined()
  })
})

describe('a client', () => {
  const reuse = (a: Uint8Array, b: Uint8Array): Evidence => {
    const [first, second] = Buffer.compare(a, b) < 0 ? [a, b] : [b, a]
    return { type: 'reuse', first, second }
  }

  test('that gives one number to two operations is named by its key (E8, F16)', () => {
    const found = judged(reuse(request(['a', 'b'], 1), request(['c'], 2)))
    expect(found).toMatchObject({ lie: 'E8', who: Buffer.from(alice.public).toString('hex') })
  })

  test('that says the same again, in other requests, is not; nor one whose name another used (F17)', () => {
    expect(judged(reuse(request(['a', 'b'], 1), request(['b', 'c'], 2)))).toBeUndefined()
    expect(judged(reuse(request(['a', 'b'], 1), request(['c'], 3)))).toBeUndefined()
    expect(judged(reuse(request(['a'], 1), request(['b'], 1, new Key('mallory'))))).toBeUndefined()
  })
})

describe('the bytes of evidence', () => {
  const { vote, term } = claims(3)
  const real = encodeEvidence(contradiction(3, vote('commit', place(a2)), term(2, place(a1))))

  test('are read back as they were, have one encoding, and are refused cut or with a byte too many', () => {
    expect(encodeEvidence(decodeEvidence(real))).toEqual(real)
    expect(verifyEvidence(real, settings)).toMatchObject({ who: 'm3' })
    for (let cut = 0; cut < real.length; cut++) {
      expect(() => decodeEvidence(real.subarray(0, cut))).toThrow('MALFORMED')
      expect(verifyEvidence(real.subarray(0, cut), settings)).toBeUndefined()
    }
    expect(() => decodeEvidence(new Uint8Array([...real, 0]))).toThrow('MALFORMED')
  })

  test('with any bit altered prove nothing', () => {
    for (let at = 0; at < real.length; at++) {
      const altered = real.slice()
      altered[at]! ^= 1 << (at % 8)
      expect(verifyEvidence(altered, settings), `byte ${at}`).toBeUndefined()
    }
  })
})
