import { describe, expect, test } from 'vitest'
import { termCertificateHash } from '../src/encoding.ts'
import {
  type Entry,
  headerHash,
  Members,
  type Message,
  type Place,
  Server,
  type ServerEvent,
  termVoteStatement,
  voteStatement,
} from '../src/index.ts'
import { decodeState } from '../src/state.ts'
import { leadStatement } from '../src/statement.ts'
import { child, founding, sha256 } from './keys.ts'
import { isSealed, sealAs } from './world.ts'

/** One member, alone with what a test tells it. */
class Alone {
  readonly server: Server
  readonly members: Members
  readonly said: { readonly to: string; readonly message: Message; readonly after: number }[] = []
  readonly writes: number[] = []
  /** What its disk was last given. */
  state: Uint8Array = new Uint8Array(0)
  readonly #self: string

  constructor(n: number, self: string) {
    const list = Array.from({ length: n }, (_, i) => ({ id: `m${i}`, key: sha256(new TextEncoder().encode(`m${i}`)) }))
    this.members = new Members(sha256, 0, list, { index: 0, hash: headerHash(sha256, founding.header) })
    this.#self = self
    this.server = new Server(
      {
        ...{ digest: sha256, self, members: this.members, founding, group: 'main' },
        ...{ timeout: 200, longestTimeout: 5000, resend: 60, window: 4, batchBytes: 2000, checkpointEntries: 0 },
      },
      0,
    )
  }

  /** What it asks for is answered at once; its disk takes as long as it likes. */
  step(event: ServerEvent): void {
    this.server.step(event, 0)
    for (;;) {
      const { write, messages, asks } = this.server.take(0)
      if (write) this.writes.push(write.id)
      this.state = write?.change.state ?? this.state
      this.said.push(...messages)
      if (asks.length === 0) return
      for (const ask of asks) {
        if (ask.type === 'sign')
          this.server.step({ type: 'signed', ask: ask.id, signature: sealAs(this.#self, ask.bytes) }, 0)
        else if (ask.type === 'verify')
          this.server.step({ type: 'verified', ask: ask.id, valid: ask.checks.map(isSealed) }, 0)
      }
    }
  }

  hear(from: string, message: Message): void {
    this.step({ type: 'message', from, message })
  }

  /** As `from` would send it if it led. */
  append(from: string, term: number, entry: Entry, proof?: Extract<Message, { type: 'appendEntries' }>['proof']): void {
    const place = { term, index: entry.header.index, hash: headerHash(sha256, entry.header) }
    const signature = sealAs(from, voteStatement(this.members.domain, 'append', place))
    this.hear(from, { type: 'appendEntries', epoch: 0, term, entries: [entry], signature, proof })
  }

  requestVote(from: string, signer: number, term: number, lock?: Place): void {
    const signature = sealAs(`m${signer}`, termVoteStatement(this.members.domain, term, lock))
    const signatures = [0, 1, 2].map((at) => ({ signer: at, signature: new Uint8Array(32) }))
    const shown = lock && ({ phase: 'append', epoch: 0, place: lock, signatures } as const)
    this.hear(from, { type: 'requestVote', epoch: 0, term, vote: { signer, lock, signature }, lock: shown })
  }

  get votes(): Place[] {
    return this.said.flatMap(({ to, message }) => (to === 'm0' && message.type === 'vote' ? [message.place] : []))
  }
}

const entry = child(founding)

describe('a member', () => {
  test('takes entries from the leader of the term, and from nobody else (Tangaroa, D2; F33)', () => {
    const member = new Alone(4, 'm3')
    member.append('m1', 0, entry)
    expect(member.votes).toEqual([])
    member.append('m0', 0, entry)
    expect(member.votes).toHaveLength(1)
  })

  test('follows a leader by the certificate of its very term (cesmi, D14; F10)', () => {
    const member = new Alone(4, 'm3')
    const { domain } = member.members
    const votes = [0, 1, 2].map((signer) => {
      return { signer, lock: undefined, signature: sealAs(`m${signer}`, termVoteStatement(domain, 1, undefined)) }
    })
    const certificate = { epoch: 0, term: 1, votes, lock: undefined }
    const signature = sealAs('m1', leadStatement(domain, 1, termCertificateHash(sha256, certificate)))
    const mandate = { ...certificate, signature }
    member.append('m1', 5, child(founding, [], { term: 5 }), mandate)
    expect([member.server.ballot.term, member.votes]).toEqual([0, []])
    member.append('m1', 1, child(founding, [], { term: 1 }), mandate)
    expect([member.server.ballot.term, member.votes.map(({ term }) => term)]).toEqual([1, [1]])
  })

  test('believes no lock that a term vote does not prove (Tangaroa, D2; F7)', () => {
    const member = new Alone(4, 'm3')
    member.requestVote('m2', 2, 1, { term: 0, index: 1, hash: headerHash(sha256, entry.header) })
    expect(member.server.demands.size).toBe(0)
    member.requestVote('m2', 2, 1)
    expect([...member.server.demands.keys()]).toEqual([2])
  })

  test('takes a term vote from its signer alone (F13)', () => {
    const member = new Alone(4, 'm3')
    member.requestVote('m1', 2, 1)
    expect(member.server.demands.size).toBe(0)
  })

  test('joins f + 1 that suspect the leader, and gives the term up when a quorum does (cesmi, D16; F32)', () => {
    const member = new Alone(7, 'm6')
    const suspicion: Message = { type: 'preVote', epoch: 0, term: 1 }
    const asked = (): boolean => member.said.some(({ message }) => message.type === 'requestVote')
    for (const from of ['m1', 'm2']) member.hear(from, suspicion)
    expect(member.said).toEqual([])
    member.hear('m3', suspicion)
    expect(member.said[0]?.message).toEqual(suspicion)
    expect([member.server.ballot.term, asked()]).toEqual([0, false])
    member.hear('m4', suspicion)
    expect([member.server.ballot.term, asked()]).toEqual([1, true])
  })

  test('says nothing before its promise is durable (D9; F44)', () => {
    const member = new Alone(4, 'm3')
    member.append('m0', 0, entry)
    const votes = member.said.filter(({ message }) => message.type === 'vote')
    expect(votes).toHaveLength(3)
    const promised = member.writes.at(-1)
    expect(votes.map(({ after }) => after)).toEqual([promised, promised, promised])
    const suspicion: Message = { type: 'preVote', epoch: 0, term: 1 }
    for (const from of ['m1', 'm2']) member.hear(from, suspicion)
    const asked = member.said.filter(({ message }) => message.type === 'requestVote')
    expect(member.writes.at(-1)).toBeGreaterThan(promised!)
    expect(new Set(asked.map(({ after }) => after))).toEqual(new Set([member.writes.at(-1)]))
  })

  test('writes down the term, the vote, the lock and what it stated, with what proves them (D9, D18; F44)', () => {
    const member = new Alone(4, 'm3')
    const disk = (): unknown => {
      const { ballot, lock, stated } = decodeState(member.state)
      return { ballot, lock, stated }
    }
    const promised = (): unknown => {
      const { ballot, lock, stated } = member.server
      return { ballot, lock, stated }
    }
    member.append('m0', 0, entry)
    expect(member.server.ballot.tip).toBeDefined()
    expect(disk()).toEqual(promised())
    const place = { term: 0, index: 1, hash: headerHash(sha256, entry.header) }
    const signatures = [0, 1, 2].map((signer) => {
      return { signer, signature: sealAs(`m${signer}`, voteStatement(member.members.domain, 'append', place)) }
    })
    member.hear('m1', { type: 'certified', certificate: { phase: 'append', epoch: 0, place, signatures } })
    expect(member.server.ballot.lock).toEqual(place)
    expect(disk()).toEqual(promised())
    for (const from of ['m1', 'm2']) member.hear(from, { type: 'preVote', epoch: 0, term: 1 })
    expect(member.server.ballot).toEqual({ term: 1, tip: undefined, lock: place, stated: place })
    expect(disk()).toEqual(promised())
  })
})
