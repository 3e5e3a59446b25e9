import { describe, expect, test } from 'vitest'
import {
  type Check,
  type Configuration,
  configurationChecks,
  configurationStatement,
  decodeConfiguration,
  type Entry,
  encodeConfiguration,
  flawOfConfiguration,
  headerHash,
  Members,
  nextMembers,
  type Step,
  verifyEpochs,
  voteStatement,
} from '../src/index.ts'
import { child, founding, isSigned, Key, sha256 } from './keys.ts'

const key = (name: string): Key => new Key(name)
const voters = (names: string[]) => names.map((id) => ({ id, key: key(id).public }))
const operators = { keys: ['o0', 'o1', 'o2'].map((name) => key(name).public), threshold: 2 }
const genesis = { index: 0, hash: headerHash(sha256, founding.header) }
const first = new Members(sha256, 0, voters(['m0', 'm1', 'm2', 'm3']), genesis, operators)

const change = (names: string[], more: Partial<Configuration> = {}): Configuration => ({
  ...{ epoch: 0, members: voters(names), operators },
  ...more,
})
function approved(configuration: Configuration, by = [0, 2], members = first): Uint8Array {
  const bytes = configurationStatement(sha256, members.domain, configuration)
  return encodeConfiguration(
    configuration,
    by.map((operator) => ({ operator, signature: key(`o${operator}`).sign(bytes) })),
  )
}
const flaw = (item: Uint8Array, members = first): string | undefined => flawOfConfiguration(sha256, members, item)
const stands = (item: Uint8Array, members = first): boolean =>
  flaw(item, members) === undefined && configurationChecks(sha256, members, item).every(isSigned)

describe('a configuration', () => {
  const good = change(['m0', 'm1', 'm2', 'm4'])

  test('stands when as many operators as are due signed it, for the epoch that it ends', () => {
    expect(stands(approved(good))).toBe(true)
    expect(stands(approved(good, [0, 1]))).toBe(true)
    expect(stands(approved(change(['m0', 'm1', 'm2', 'm3', 'm4', 'm5', 'm6'])))).toBe(true)
  })

  test('does not without them: too few, one twice, one that is none, or of another configuration, epoch or cluster (F35)', () => {
    expect(flaw(approved(good, [0]))).toContain('1 operators approve where 2 are due')
    expect(flaw(approved(good, [0, 0]))).toContain('do not rise')
    expect(flaw(approved(good, [0, 1, 2]))).toContain('3 operators')
    expect(flaw(approved(good, [1, 5]))).toContain('none')
    const { approvals } = decodeConfiguration(approved(good))
    expect(stands(encodeConfiguration(change(['m0', 'm1', 'm2', 'm5']), approvals))).toBe(false)
    expect(flaw(approved(change(['m0', 'm1', 'm2', 'm4'], { epoch: 1 })))).toContain('epoch 1')
    const other = new Members(sha256, 0, voters(['m0', 'm1', 'm2', 'm9']), genesis, operators)
    expect(stands(approved(good, [0, 2], other))).toBe(false)
    expect(flaw(approved(good), new Members(sha256, 0, first.list, genesis))).toContain('nobody may change')
  })

  test('names at least four members in order, each with a key of its own (F35)', () => {
    expect(flaw(approved(change(['m0', 'm1', 'm2'])))).toContain('at least 4')
    expect(flaw(approved(change(['m1', 'm0', 'm2', 'm3'])))).toContain('not in order')
    expect(flaw(approved(change(['m0', 'm0', 'm2', 'm3'])))).toContain('twice')
    const shared = change(['m0', 'm1', 'm2', 'm3'])
    const twins = { ...shared, members: shared.members.map(({ id }) => ({ id, key: key('one').public })) }
    expect(flaw(approved(twins))).toContain('share a key')
    expect(flaw(approved(change(['m0', 'm1', 'm2', 'm3'], { operators: { ...operators, threshold: 4 } })))).toContain(
      '4 of 3',
    )
  })

  test('leaves f + 1 of the members where they are, under their keys: who comes has from them what was executed', () => {
    expect(stands(approved(change(['m0', 'm3', 'm4', 'm5'])))).toBe(true)
    expect(flaw(approved(change(['m0', 'm4', 'm5', 'm6'])))).toContain('at least 2 of the members must stay')
    const members = voters(['m0', 'm1', 'm2', 'm3']).map((one, at) =>
      at === 0 ? one : { ...one, key: key(`${one.id} anew`).public },
    )
    expect(flaw(approved(change([], { members })))).toContain('at least 2')
    const seven = new Members(sha256, 0, voters(['m0', 'm1', 'm2', 'm3', 'm4', 'm5', 'm6']), genesis, operators)
    expect(flaw(approved(change(['m0', 'm1', 'm7', 'm8']), [0, 2], seven), seven)).toContain('at least 3')
  })

  test('of a member that lost its disk names it under a new key', () => {
    const members = voters(['m0', 'm1', 'm2', 'm3']).map((one) =>
      one.id === 'm2' ? { ...one, key: key('m2 anew').public } : one,
    )
    expect(stands(approved(change([], { members })))).toBe(true)
  })

  test('has one encoding, and is refused cut or with a byte too many', () => {
    const bytes = approved(good)
    const { configuration, approvals } = decodeConfiguration(bytes)
    expect(configuration).toEqual(good)
    expect(encodeConfiguration(configuration, approvals)).toEqual(bytes)
    for (let cut = 0; cut < bytes.length; cut++)
      expect(() => decodeConfiguration(bytes.subarray(0, cut))).toThrow('MALFORMED')
    expect(flaw(new Uint8Array([...bytes, 0]))).toBeDefined()
  })
})

describe('the chain of configurations', () => {
  const commit = (members: Members, entry: Entry, by: string[]): Step => {
    const place = { term: 0, index: entry.header.index, hash: headerHash(sha256, entry.header) }
    const bytes = voteStatement(members.domain, 'commit', place)
    const signatures = by.map((id) => ({ signer: members.signer(id)!, signature: key(id).sign(bytes) }))
    return { entry, certificate: { phase: 'commit', epoch: members.epoch, place, signatures } }
  }
  const one = child(child(founding), [approved(change(['m1', 'm2', 'm3', 'm4']))], { kind: 'config' })
  const second = nextMembers(sha256, first, one)
  const item = approved(change(['m2', 'm3', 'm4', 'm5', 'm6'], { epoch: 1 }), [1, 2], second)
  const two = child(child(one), [item], { kind: 'config' })
  const steps = [commit(first, one, ['m0', 'm1', 'm3']), commit(second, two, ['m1', 'm3', 'm4'])]
  const verify = (checks: readonly Check[]): boolean[] => checks.map(isSigned)
  const follow = (of: readonly Step[]): Members | undefined => verifyEpochs(first, of, { digest: sha256, verify })

  test('leads whoever knows the founders to the members of now (F38)', () => {
    const now = follow(steps)
    expect(now?.list.map(({ id }) => id)).toEqual(['m2', 'm3', 'm4', 'm5', 'm6'])
    expect(now?.epoch).toBe(2)
    expect(now?.genesis).toEqual({ index: two.header.index, hash: headerHash(sha256, two.header) })
    expect(follow([])?.domain).toBe(first.domain)
  })

  test('is refused with a step left out, out of order, of another phase or entry, or signed by those who had left', () => {
    expect(follow([steps[1]!])).toBeUndefined()
    expect(follow([steps[1]!, steps[0]!])).toBeUndefined()
    expect(follow([steps[0]!, steps[0]!])).toBeUndefined()
    expect(follow([{ ...steps[0]!, entry: two }])).toBeUndefined()
    const append = { ...steps[0]!, certificate: { ...steps[0]!.certificate, phase: 'append' as const } }
    expect(follow([append])).toBeUndefined()
    const stale = commit(first, two, ['m0', 'm1', 'm3'])
    expect(follow([steps[0]!, { ...stale, certificate: { ...stale.certificate, epoch: 1 } }])).toBeUndefined()
    const few = { ...steps[0]!.certificate, signatures: steps[0]!.certificate.signatures.slice(0, 2) }
    expect(follow([{ ...steps[0]!, certificate: few }])).toBeUndefined()
  })

  test('gives every epoch a domain of its own: no signature of one is any in another (F12, F37)', () => {
    const same = new Members(sha256, 1, first.list, second.genesis, operators)
    expect(new Set([first.domain, second.domain, same.domain]).size).toBe(3)
  })
})
