import { describe, expect, test } from 'vitest'
import {
  type Claim,
  decodeEvidence,
  type Entry,
  type Evidence,
  encodeEvidence,
  type Header,
  inOrder,
  judge,
  leavesOf,
  type Mandate,
  type Message,
  merklePath,
  type SignedClaim,
  stands,
  termCertificateHash,
} from '../src/index.ts'
import { sha256 } from './keys.ts'
import { fair, founded, isSealed, mulberry, submitted, type World } from './world.ts'

/*
 * I18. An adversary that has everything honest members ever signed, and every entry, puts evidence together from it in every way it can,
 * whole and with small changes: nothing of it stands.
 */

interface Heard {
  readonly claims: Map<number, Map<string, SignedClaim>>
  readonly mandates: Mandate[]
  readonly entries: Map<string, Entry>
}

function listen(world: World, heard: Heard, from: string, message: Message): void {
  const { members } = world
  const signer = members.signer(from)!
  const note = (who: number, claim: Claim, signature: Uint8Array): void => {
    const all = heard.claims.get(who) ?? new Map<string, SignedClaim>()
    heard.claims.set(who, all.set(JSON.stringify(claim), { claim, signature }))
  }
  const entry = (one: Entry): unknown => heard.entries.set(world.hashOf(one), one)
  if (message.type === 'vote') note(signer, { type: message.phase, place: message.place }, message.signature)
  if (message.type === 'requestVote')
    note(signer, { type: 'term', term: message.term, lock: message.vote.lock }, message.vote.signature)
  if (message.type === 'fetched') message.entries.forEach(entry)
  if (message.type !== 'appendEntries') return
  message.entries.forEach(entry)
  const tip = message.entries.at(-1)!
  note(
    signer,
    { type: 'append', place: { term: message.term, index: tip.header.index, hash: world.hashOf(tip) } },
    message.signature,
  )
  if (message.proof === undefined) return
  heard.mandates.push(message.proof)
  const { term, signature } = message.proof
  note(signer, { type: 'lead', term, proof: termCertificateHash(sha256, message.proof) }, signature)
}

function headersFrom({ entries }: Heard, hash: string, count: number): Header[] {
  const headers: Header[] = []
  for (let entry = entries.get(hash); entry && headers.length < count; entry = entries.get(entry.header.parent))
    headers.push(entry.header)
  return headers
}

/** Everything that could be tried with what was heard. */
function* attempts(heard: Heard, random: () => number): Generator<Evidence> {
  for (const [signer, claims] of heard.claims) {
    const all = [...claims.values()]
    for (const a of all)
      for (const b of all) {
        const [first, second] = inOrder(a, b)
        const gap =
          'place' in first.claim && 'place' in second.claim ? second.claim.place.index - first.claim.place.index : 0
        const headers = gap > 0 && 'place' in second.claim ? headersFrom(heard, second.claim.place.hash, gap) : []
        const evidence = { type: 'contradiction', epoch: 0, signer, first, second, headers } as const
        yield evidence
        // Somebody else's, or of another term, index, entry or lock.
        yield { ...evidence, signer: Math.floor(random() * 4) }
        yield { ...evidence, second: { ...second, claim: bent(second.claim, random) } }
      }
    for (const { claim, signature } of all) {
      if (claim.type !== 'append') continue
      const { place } = claim
      for (const mandate of heard.mandates) {
        const { signature: mark, ...certificate } = mandate
        const headers = headersFrom(heard, place.hash, Math.max(0, place.index - (mandate.lock?.place.index ?? 0)))
        yield { type: 'badTerm', epoch: 0, certificate, signature: mark, vote: { place, signature, headers } }
        yield { type: 'badTerm', epoch: 0, certificate, signature: mark, vote: undefined }
      }
      const headers = headersFrom(heard, place.hash, 8)
      for (let depth = 0; depth < headers.length; depth++) {
        const base = { type: 'invalidEntry', epoch: 0, place, signature, headers, depth } as const
        yield { ...base, flaw: { type: 'header' } }
        const entryAt = (at: number): Entry => heard.entries.get(at === 0 ? place.hash : headers[at - 1]!.parent)!
        const parent = heard.entries.get(headers[depth]!.parent)
        if (parent) yield { ...base, flaw: { type: 'position', items: parent.items } }
        const entry = entryAt(depth)
        for (const at of entry.items.keys()) {
          yield { ...base, flaw: { type: 'item', proof: proofOf(entry, at) } }
          for (let below = depth; below < headers.length; below++)
            for (const other of entryAt(below).items.keys())
              yield {
                ...base,
                flaw: {
                  type: 'repeated',
                  proof: proofOf(entry, at),
                  depth: below - depth,
                  earlier: proofOf(entryAt(below), other),
                },
              }
        }
      }
    }
  }
}

const proofOf = ({ items }: Entry, at: number) => {
  const leaves = leavesOf(items)
  const before = new DataView(leaves[at]!.buffer, leaves[at]!.byteOffset).getUint32(0, true)
  return { item: items[at]!, before, at, count: items.length, path: merklePath(sha256, leaves, at) }
}

function bent(claim: Claim, random: () => number): Claim {
  const which = Math.floor(random() * 3)
  if (claim.type === 'lead') return { ...claim, term: claim.term + 1 }
  if (claim.type === 'term') return which === 0 ? { ...claim, term: claim.term + 1 } : { ...claim, lock: undefined }
  const { place } = claim
  const changed = [
    { ...place, term: place.term + 1 },
    { ...place, index: place.index + 1 },
    { ...place, hash: 'ab'.repeat(32) },
  ]
  return { ...claim, place: changed[which]! }
}

describe('honest members in bad weather, with crashes', { timeout: 60_000 }, () => {
  test.each([1, 2, 3, 4])('seed %i: whatever they said, nobody can make evidence of it (I18)', (seed) => {
    const world = founded(4, seed)
    const heard: Heard = { claims: new Map(), mandates: [], entries: new Map() }
    const cutOff = 'm0' // which leads first: another one must show what it leads under
    const listens =
      (storm: boolean) =>
      (from: string, to: string, now: number, message: Message): boolean => {
        listen(world, heard, from, message)
        return storm && now > 200 && now < 1200 && (from === cutOff || to === cutOff)
      }
    world.weather = { drop: 0.1, twice: 0.1, delay: 60, cut: listens(true) }
    submitted(world, 1, 3)
    world.run(300)
    world.crash(world.machines[(seed + 1) % 4]!, 100)
    submitted(world, 4, 2)
    world.run(2500)
    world.weather = { ...fair, cut: listens(false) }
    world.run(20_000)
    world.check()
    expect(world.accused.size).toBe(0)
    const random = mulberry(seed)
    let tried = 0
    for (const evidence of attempts(heard, random)) {
      tried++
      // As it would come to anyone: as bytes.
      const found = judge(sha256, world.members, world.members.genesis.hash, decodeEvidence(encodeEvidence(evidence)))
      if (found && stands(found, [...found.valid, ...found.invalid].map(isSealed)))
        throw new Error(`framed: ${found.what}`)
    }
    expect(tried).toBeGreaterThan(1000)
    expect(heard.mandates.length).toBeGreaterThan(0)
  })
})
