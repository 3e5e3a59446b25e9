import { encodeRecords, recordKind } from '@raftkit/bytes'
import { jointConsensus } from '@raftkit/membership'
import { expect } from 'vitest'
import type { Message } from '../src/index.ts'
import { type Server, type ServerOptions, World } from './world.ts'

/*
 * For tests in which one server is real and the others' lines are read by the test: what the paper's figures are made of.
 */

type Of<T extends Message['type']> = Extract<Message, { type: T }>
interface Sender {
  readonly id: string
  readonly incarnation: string
}

export interface Trio {
  readonly world: World
  readonly a: Server
  readonly b: Server
  readonly c: Server
}

/** Three servers; `a` leads in term 2, and everyone's log is 1:1 (the founding configuration) 2:2 (the no-op of `a`), committed. */
export function trio(options: ServerOptions = {}): Trio {
  const world = new World(['a', 'b', 'c'], options)
  expect(() => world.elect(), 'three servers found a cluster and elect').not.toThrow()
  world.run(100)
  const a = world.server('a')
  expect(a.raft.status()).toMatchObject({ role: 'leader', term: 2, commit: 2 })
  for (const server of world.servers.values()) expect(server.terms, server.id).toBe('1:1 2:2')
  return { world, a, b: world.server('b'), c: world.server('c') }
}

export const joint = (): ServerOptions['membership'] => jointConsensus() as never

/** Nobody hears of anybody any more, and everyone's patience with the leader has ended. */
export function silence({ world }: Trio): void {
  world.filter = () => true
  world.packets = []
  world.now += 5000
}

/** What left `from` since the last look, oldest first; it is taken off the network. */
export function said<T extends Message['type']>(from: Server, type: T): Of<T>[]
export function said(from: Server): Message[]
export function said(from: Server, type?: Message['type']): Message[] {
  const { world } = from
  const mine = world.packets.filter((packet) => packet.from === from.id).map(({ outgoing }) => outgoing.message)
  world.packets = world.packets.filter((packet) => packet.from !== from.id)
  return type === undefined ? mine : mine.filter((message) => message.type === type)
}

/** `to` hears this from `from`; returns what it says then. */
export function tell(to: Server, from: Sender, message: Message): Message[] {
  said(to)
  const sender = { id: from.id, incarnation: from.incarnation }
  to.do({ type: 'message', from: sender, genesis: to.raft.state.genesis, message })
  return said(to)
}

/** The one message of that type among them. */
export function only<T extends Message['type']>(messages: readonly Message[], type: T): Of<T> {
  const found = messages.filter((message): message is Of<T> => message.type === type)
  expect(found, `one ${type} among ${messages.map((message) => message.type)}`).toHaveLength(1)
  return found[0]!
}

let rounds = 1_000_000

/** Entries of these terms behind (prevIndex, prevTerm), from the leader of `term`. */
export function entries(
  to: Server,
  prevIndex: number,
  prevTerm: number,
  terms: readonly number[],
  more: Partial<Of<'appendEntries'>> = {},
): Of<'appendEntries'> {
  const records = encodeRecords(
    terms.map((term, at) => {
      const index = prevIndex + 1 + at
      const payload = new TextEncoder().encode(`${index}:${term}`)
      return { kind: recordKind.command, index, term, time: 0, seed: 0, payload }
    }),
    to.raft.log.checksumSeed,
  )
  const term = Math.max(to.raft.state.term, ...terms)
  const parts = terms.length === 0 ? [] : [records]
  return {
    type: 'appendEntries',
    term,
    round: ++rounds,
    prevIndex,
    prevTerm,
    commit: 0,
    count: terms.length,
    records: parts,
    ...more,
  }
}

/** Asks for a vote with a log as good as that of `of`. */
export function ask(of: Server, term: number, more: Partial<Of<'requestVote'>> = {}): Of<'requestVote'> {
  const { last, lastTerm } = of.raft.log
  return { type: 'requestVote', term, pre: false, ballot: 7, lastIndex: last, lastTerm, transfer: false, ...more }
}

/** The answer to `request`, by a voter that is a term behind or, after a vote, in that term. */
export function answer(request: Of<'requestVote'>, granted: boolean, more: Partial<Of<'vote'>> = {}): Of<'vote'> {
  const { pre, ballot, term } = request
  return { type: 'vote', term: pre ? term - 1 : term, forTerm: term, pre, ballot, granted, ...more }
}

/** `of` holds the leader's log up to `match`. */
export function acknowledge(leader: Server, match: number, more: Partial<Of<'appended'>> = {}): Of<'appended'> {
  const { role, state } = leader.raft
  const round = role.type === 'leader' ? role.round : 0
  return { type: 'appended', term: state.term, round, match, received: match, ...more }
}

/** `server` wins an election of its own, by the votes of `voters`, who answer by script; its no-op is on its disk alone. */
export function crown(server: Server, voters: readonly Sender[], term = server.raft.state.term + 1): void {
  said(server)
  if (server.role === 'leader') throw new Error(`${server.id} leads already`)
  while (server.raft.state.term < term) server.do({ type: 'campaign' })
  const request = said(server, 'requestVote').at(-1)!
  for (const voter of voters) {
    const vote = answer(request, true)
    server.do({
      type: 'message',
      from: { id: voter.id, incarnation: voter.incarnation },
      genesis: server.raft.state.genesis,
      message: vote,
    })
  }
}

export const members = (server: Server): string =>
  server.raft
    .status()
    .config.members.map(({ id, role }) => `${id}:${role}`)
    .join(' ')
