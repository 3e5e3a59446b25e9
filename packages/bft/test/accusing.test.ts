import { describe, expect, test } from 'vitest'
import {
  type Entry,
  encodeRequest,
  headerHash,
  itemsRoot,
  leadStatement,
  type Message,
  termCertificateHash,
  termVoteStatement,
  voteStatement,
} from '../src/index.ts'
import { child, sha256 } from './keys.ts'
import { fair, founded, sealAs, submitted, type World } from './world.ts'

/*
 * Each lie of the catalogue, told by a member that holds its own key and nobody else's. The world itself fails if anybody is accused of what
 * the bytes do not prove, or an honest member of anything (I18).
 */

const liesOf = (world: World, who: string): string[] => [...(world.accused.get(who) ?? [])].sort()
const place = (term: number, { header }: Entry) => ({ term, index: header.index, hash: headerHash(sha256, header) })

type Append = Extract<Message, { type: 'appendEntries' }>

/** The message with another last entry, signed by who sends it. */
function leading(message: Append, id: string, { members }: World, change: (last: Entry) => Entry): Append {
  const last = change(message.entries.at(-1)!)
  const signature = sealAs(id, voteStatement(members.domain, 'append', place(message.term, last)))
  return { ...message, entries: [...message.entries.slice(0, -1), last], signature }
}

function finished(world: World, until = 10_000): void {
  const words = submitted(world, 1, 6)
  world.run(until)
  world.check()
  for (const machine of world.honest) expect(world.executed(machine).sort()).toEqual(words.sort())
}

describe('a leader', () => {
  test('that proposes one thing to some and another to others is named, suspected at once, and leads no more (E1, F1)', () => {
    const world = founded(4, 1, [
      (message, to, world) => {
        if (message.type !== 'appendEntries' || to !== 'm3') return message
        return leading(message, 'm0', world, (last) => ({
          ...last,
          header: { ...last.header, time: last.header.time + 1 },
        }))
      },
    ])
    const words = submitted(world, 1, 3)
    // Long before any timeout.
    world.run(150)
    expect(liesOf(world, 'm0')).toContain('E1')
    for (const { server } of world.honest) expect(server.ballot.term).toBe(1)
    world.run(5000)
    words.push(...submitted(world, 4, 3))
    world.run(10_000)
    for (const machine of world.honest) {
      expect(world.executed(machine).sort()).toEqual(words.sort())
      expect([...machine.server.accusations.convicted]).toEqual(['m0'])
      expect(machine.log.filter(({ header }) => header.kind === 'evidence')).toHaveLength(1)
    }
  })

  test('that makes an entry no header allows is named (E5, F21)', () => {
    const world = founded(4, 2, [
      (message, _, world) =>
        message.type === 'appendEntries'
          ? leading(message, 'm0', world, (last) => ({ ...last, header: { ...last.header, position: 77 } }))
          : message,
    ])
    finished(world)
    expect(liesOf(world, 'm0')).toEqual(['E5'])
  })

  test('that sends other items than its header holds is not: nobody could tell who put them there', () => {
    const world = founded(4, 3, [
      (message, _, world) =>
        message.type === 'appendEntries' ? leading(message, 'm0', world, (last) => ({ ...last, items: [] })) : message,
    ])
    finished(world)
    expect(world.accused.size).toBe(0)
  })

  const unsigned = { client: new Uint8Array(32), session: 1, seq: 1, operations: [new Uint8Array([6])] }
  const forged = encodeRequest({ ...unsigned, signature: new Uint8Array(32) })
  const withItems = (last: Entry, items: Uint8Array[]): Entry => ({
    header: { ...last.header, root: itemsRoot(sha256, items) },
    items,
  })

  test('that puts in what no client signed is named, and suspected at once (E5, F15)', () => {
    const world = founded(4, 4, [
      (message, _, world) =>
        message.type === 'appendEntries'
          ? leading(message, 'm0', world, (last) => withItems(last, [...last.items, forged]))
          : message,
    ])
    submitted(world, 1, 3)
    world.run(150)
    expect(liesOf(world, 'm0')).toEqual(['E5'])
    for (const { server } of world.honest) expect(server.ballot.term).toBe(1)
  })

  test('that executes something again is named (E5, F20)', () => {
    let first: Uint8Array | undefined
    const world = founded(4, 5, [
      (message, _, world) => {
        if (message.type !== 'appendEntries') return message
        first ??= message.entries[0]!.items[0]!
        if (message.entries.at(-1)!.header.index < 2) return message
        return leading(message, 'm0', world, (last) => withItems(last, [first!]))
      },
    ])
    const words = submitted(world, 1, 1)
    world.run(100)
    words.push(...submitted(world, 2, 3))
    world.run(5000)
    world.check()
    for (const machine of world.honest) expect(world.executed(machine).sort()).toEqual(words.sort())
    expect(liesOf(world, 'm0')).toEqual(['E5'])
  })

  test('that leaves what its certificate binds it to is named (E6, F9)', () => {
    const world = founded(4, 6, [
      undefined,
      (message, _, world) => {
        if (message.type !== 'appendEntries' || message.term !== 1 || message.proof?.lock === undefined) return message
        const { founding } = world.machines[0]!.server.settings
        const other = child(founding, [], { term: 1 })
        const signature = sealAs('m1', voteStatement(world.members.domain, 'append', place(1, other)))
        return { ...message, entries: [other], signature }
      },
    ])
    // In term 0 nobody hears of a commit, so that its lock is open when term 1 begins.
    world.weather = {
      ...fair,
      cut: (_from, _to, _now, message) =>
        message.type === 'vote' && message.phase === 'commit' && message.place.term === 0,
    }
    const words = submitted(world, 1, 3)
    world.run(10_000)
    expect(liesOf(world, 'm1')).toEqual(['E6'])
    for (const machine of world.honest) expect(world.executed(machine).sort()).toEqual(words.sort())
  })

  test('that leads under a certificate that is none is named (E6, F10)', () => {
    const world = founded(4, 7, [
      undefined,
      (message, _, { members }) => {
        if (message.type !== 'appendEntries' || message.proof === undefined) return message
        const { signature: _old, ...rest } = message.proof
        const certificate = { ...rest, votes: [rest.votes[0]!, rest.votes[0]!, rest.votes[1]!] }
        const signature = sealAs(
          'm1',
          leadStatement(members.domain, rest.term, termCertificateHash(sha256, certificate)),
        )
        return { ...message, proof: { ...certificate, signature } }
      },
    ])
    world.weather = { ...fair, cut: (from) => from === 'm0' && world.now < 1500 }
    const words = submitted(world, 1, 3)
    world.run(20_000)
    expect(liesOf(world, 'm1')).toEqual(['E6'])
    for (const machine of world.honest) expect(world.executed(machine).sort()).toEqual(words.sort())
  })
})

describe('who was convicted', () => {
  test('gets no votes for what it leads with: its terms are passed over', () => {
    const world = founded(4, 12, [
      (message, to, world) => {
        if (message.type !== 'appendEntries' || to !== 'm3' || message.term > 0) return message
        return leading(message, 'm0', world, ({ header, items }) => ({
          header: { ...header, time: header.time + 1 },
          items,
        }))
      },
    ])
    submitted(world, 1, 2)
    world.run(5000)
    const heard: number[] = []
    // Everybody else who leads is silent, so that the turn comes to the one who lied.
    const cut = (from: string, _to: string, _now: number, message: Message): boolean => {
      if (message.type === 'vote' && from !== 'm0' && message.place.term === 4) heard.push(message.place.index)
      return message.type === 'appendEntries' && message.term < 4
    }
    world.weather = { ...fair, cut }
    for (const { server } of world.honest) expect([...server.accusations.convicted]).toEqual(['m0'])
    const words = submitted(world, 3, 2)
    world.run(60_000)
    expect(heard).toEqual([])
    for (const machine of world.honest) {
      expect(machine.server.ballot.term).toBeGreaterThan(4)
      for (const word of words) expect(world.executed(machine)).toContain(word)
    }
  })
})

describe('a member', () => {
  test('that votes for two entries is named (E2, F4)', () => {
    const world = founded(4, 8, [
      ...[undefined, undefined, undefined],
      (message, to, { members }) => {
        if (message.type !== 'vote' || to === 'm0') return message
        // One vote here, another there, and both to m1.
        const at = { ...message.place, hash: 'ee'.repeat(32) }
        const other = {
          ...message,
          place: at,
          signature: sealAs('m3', voteStatement(members.domain, message.phase, at)),
        }
        return to === 'm1' ? [message, other] : other
      },
    ])
    finished(world)
    expect(liesOf(world, 'm3')).toContain('E2')
    for (const { server } of world.honest) expect([...server.accusations.convicted]).toEqual(['m3'])
  })

  test('that forgets what it was locked on when it asks for a term is named (E4, F6)', () => {
    const world = founded(4, 9, [
      ...[undefined, undefined, undefined],
      (message, _, { members }) => {
        if (message.type !== 'requestVote') return message
        const signature = sealAs('m3', termVoteStatement(members.domain, message.term, undefined))
        return { ...message, vote: { signer: 3, lock: undefined, signature }, lock: undefined }
      },
    ])
    const words = submitted(world, 1, 3)
    world.run(500)
    // The first leader goes silent.
    world.weather = { ...fair, cut: (from) => from === 'm0' && world.now < 4000 }
    words.push(...submitted(world, 4, 3))
    world.run(20_000)
    expect(liesOf(world, 'm3')).toContain('E4')
    for (const machine of world.honest) expect(world.executed(machine).sort()).toEqual(words.sort())
  })

  test('that accuses others of what they did not do is heard by nobody', () => {
    let seen: Message | undefined
    const world = founded(4, 10, [
      ...[undefined, undefined, undefined],
      (message) => {
        if (message.type === 'vote') seen = message
        return message.type === 'vote' && world.random() < 0.5
          ? { type: 'evidence', bytes: new Uint8Array([1, 0, ...Array(40).fill(7)]) }
          : message
      },
    ])
    finished(world)
    expect(seen).toBeDefined()
    expect(world.accused.size).toBe(0)
  })
})

describe('a client', () => {
  test('that gives one number to two operations is named, and no leader is suspected for it (E8, F16)', () => {
    const world = founded(4, 11)
    world.submit(world.request('mallory', 1, ['this']), ({ id }) => id === 'm1')
    world.submit(world.request('mallory', 1, ['that']), ({ id }) => id === 'm1')
    world.run(3000)
    expect([...world.accused.values()].flatMap((lies) => [...lies])).toEqual(['E8'])
    for (const { server } of world.machines) expect(server.ballot.term).toBe(0)
    for (const machine of world.machines) expect(world.executed(machine)).toHaveLength(1)
  })
})
