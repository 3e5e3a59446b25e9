import { describe, expect, test } from 'vitest'
import {
  assemble,
  type Certificate,
  certificateChecks,
  faults,
  flawOfCertificate,
  flawOfTermCertificate,
  Members,
  type Place,
  quorum,
  type TermCertificate,
  termCertificateChecks,
} from '../src/index.ts'
import { isSigned, Signers, sha256, zeros } from './keys.ts'

const four = new Signers(4)
const place: Place = { term: 2, index: 5, hash: '11'.repeat(32) }
const other: Place = { ...place, hash: '22'.repeat(32) }
const lock = four.certificate('append', place, [0, 1, 2])

const stands = (certificate: Certificate, { members } = four): boolean =>
  flawOfCertificate(members, certificate) === undefined && certificateChecks(members, certificate).every(isSigned)
const termStands = (certificate: TermCertificate, { members } = four): boolean =>
  flawOfTermCertificate(members, certificate) === undefined &&
  termCertificateChecks(members, certificate).every(isSigned)

describe('quorums', () => {
  test('share an honest member, and the honest alone are one, for every size', () => {
    for (let n = 4; n <= 100; n++) {
      const f = faults(n)
      expect(3 * f + 1).toBeLessThanOrEqual(n)
      expect(2 * quorum(n) - n).toBeGreaterThanOrEqual(f + 1)
      expect(quorum(n)).toBeLessThanOrEqual(n - f)
    }
    expect([4, 5, 6, 7, 8, 9, 10].map(quorum)).toEqual([3, 4, 4, 5, 6, 6, 7])
  })

  test('a majority is none where it would share Byzantine members only (Juno, D11)', () => {
    const fiveOfSeven = new Signers(7)
    expect(stands(fiveOfSeven.certificate('commit', place, [0, 1, 2, 3]), fiveOfSeven)).toBe(false)
    expect(stands(fiveOfSeven.certificate('commit', place, [0, 1, 2, 3, 4]), fiveOfSeven)).toBe(true)
  })

  test('are made of members with an id and a key of their own, four at least', () => {
    const list = four.members.list
    const genesis = { index: 0, hash: zeros }
    expect(() => new Members(sha256, 0, list.slice(0, 3), genesis)).toThrow('INVALID_OPTION')
    expect(() => new Members(sha256, 0, [...list, { ...list[0]!, id: 'm9' }], genesis)).toThrow('share a key')
    expect(() => new Members(sha256, 0, [...list, { id: 'm0', key: new Uint8Array(32) }], genesis)).toThrow('twice')
  })
})

describe('a certificate', () => {
  test('stands with a quorum of signatures for one place', () => {
    expect(stands(lock)).toBe(true)
    expect(stands(four.certificate('commit', place, [1, 2, 3]))).toBe(true)
  })

  test('counts nobody twice (Tangaroa, D3 and D4)', () => {
    expect(stands(four.certificate('commit', place, [0, 0, 1]))).toBe(false)
    expect(stands(four.certificate('commit', place, [0, 1, 1]))).toBe(false)
    const [one, two] = lock.signatures
    expect(assemble(four.members, [one!, two!, { ...two!, signature: new Uint8Array(64) }])).toBeUndefined()
  })

  test('has one order of its signers and no more than it needs, so that it has one encoding', () => {
    expect(stands(four.certificate('commit', place, [1, 0, 2]))).toBe(false)
    expect(stands(four.certificate('commit', place, [0, 1, 2, 3]))).toBe(false)
    const gathered = [...four.certificate('append', place, [3, 1, 0, 2]).signatures]
    expect(assemble(four.members, gathered)?.map(({ signer }) => signer)).toEqual([0, 1, 2])
  })

  test('does not stand for another place, term, phase, epoch or set of keys (D4, D14, D17)', () => {
    expect(stands({ ...lock, place: other })).toBe(false)
    expect(stands({ ...lock, place: { ...place, term: 3 } })).toBe(false)
    expect(stands({ ...lock, place: { ...place, index: 6 } })).toBe(false)
    expect(stands({ ...lock, phase: 'commit' })).toBe(false)
    expect(stands({ ...lock, epoch: 1 })).toBe(false)
    const later = new Signers(4, 1)
    expect(stands({ ...lock, epoch: 1 }, later)).toBe(false)
    const five = new Signers(5)
    expect(stands({ ...lock, signatures: [...lock.signatures, { ...lock.signatures[0]!, signer: 3 }] }, five)).toBe(
      false,
    )
  })

  test('mixes no votes of different terms (D4)', () => {
    const older = four.certificate('append', { ...place, term: 1 }, [2]).signatures
    expect(stands({ ...lock, signatures: [...lock.signatures.slice(0, 2), ...older] })).toBe(false)
  })

  test('names members only', () => {
    expect(
      stands({ ...lock, signatures: [...lock.signatures.slice(0, 2), { ...lock.signatures[2]!, signer: 4 }] }),
    ).toBe(false)
    expect(stands({ ...lock, signatures: lock.signatures.map((one) => ({ ...one, signer: one.signer + 1 })) })).toBe(
      false,
    )
  })

  test('of an entry before its epoch is none', () => {
    expect(stands(four.certificate('append', { ...place, index: 0 }, [0, 1, 2]))).toBe(false)
  })

  test('falls with one flipped bit', () => {
    const flipped = lock.signatures.map((one, at) => ({
      ...one,
      signature: at === 1 ? one.signature.map((byte, i) => (i === 7 ? byte ^ 1 : byte)) : one.signature,
    }))
    expect(stands({ ...lock, signatures: flipped })).toBe(false)
  })
})

describe('a term certificate', () => {
  test('stands with the highest lock that its votes claim', () => {
    expect(termStands(four.termCertificate(3, [place, undefined, { ...place, term: 1 }], lock))).toBe(true)
    expect(termStands(four.termCertificate(3, [undefined, undefined, undefined]))).toBe(true)
  })

  test('hides no lock that it claims, and claims none that it does not show (Prellblock, D13; Tangaroa, D2)', () => {
    const lower = four.certificate('append', { ...place, index: 4 }, [0, 1, 2])
    expect(termStands(four.termCertificate(3, [place, undefined, undefined]))).toBe(false)
    expect(termStands(four.termCertificate(3, [place, lower.place, undefined], lower))).toBe(false)
    expect(termStands(four.termCertificate(3, [undefined, undefined, undefined], lock))).toBe(false)
  })

  test('does not take a lock of its own term or a later one', () => {
    expect(termStands(four.termCertificate(2, [place, undefined, undefined], lock))).toBe(false)
  })

  test('takes append certificates alone as locks, whole ones, of the place that is claimed (D14)', () => {
    expect(termStands(four.termCertificate(3, [place, undefined, undefined], { ...lock, phase: 'commit' }))).toBe(false)
    const relabelled = { ...lock, place: { ...place, term: 3 } }
    expect(termStands(four.termCertificate(4, [relabelled.place, undefined, undefined], relabelled))).toBe(false)
    expect(termStands(four.termCertificate(3, [other, place, undefined], lock))).toBe(false)
    expect(termStands(four.termCertificate(3, [place, undefined, undefined], { ...lock, signatures: [] }))).toBe(false)
  })

  test('counts nobody twice, and no vote for another term (D3)', () => {
    const { votes, ...rest } = four.termCertificate(3, [undefined, undefined, undefined])
    expect(termStands({ ...rest, votes: [votes[0]!, votes[1]!, votes[1]!] })).toBe(false)
    expect(termStands({ ...rest, votes: [votes[0]!, votes[1]!] })).toBe(false)
    expect(termStands({ ...rest, votes: [votes[0]!, votes[1]!, four.termVote(2, 4, undefined)] })).toBe(false)
    expect(termStands({ ...rest, term: 0, votes })).toBe(false)
  })

  test('binds each claim to its signature (D17)', () => {
    const { votes, ...rest } = four.termCertificate(3, [place, place, place], lock)
    expect(termStands({ ...rest, votes: votes.map((vote) => ({ ...vote, lock: undefined })), lock: undefined })).toBe(
      false,
    )
  })
})
