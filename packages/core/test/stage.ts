import { AssertionError } from 'node:assert'
import { encodeRecords, type LogRecord, recordKind } from '@raftkit/bytes'
import type { Config, Index, NodeId, Role, Term } from '@raftkit/contract'
import { encodeConfig } from '../src/config-encoding.ts'
import type { Message } from '../src/index.ts'
import { type Server, type ServerOptions, World } from './world.ts'

type Said<T extends Message['type']> = Extract<Message, { type: T }> & { readonly to: NodeId }

/** An entry as a test writes it: its term alone is a command, and so is one with its text. */
export type Entry = Term | readonly [Term, string] | readonly [Term, Config]

/** One real server, the first, among founders that the test plays: nothing is delivered but what it says, and all that the server says is kept. */
export class Stage {
  readonly world: World
  readonly subject: Server
  #said: { readonly to: NodeId; readonly message: Message }[] = []
  #round = 0

  constructor(ids: readonly NodeId[] = ['a', 'b', 'c'], options: ServerOptions = {}) {
    this.world = new World(ids, options)
    this.world.settle()
    this.subject = this.world.server(ids[0]!)
    this.world.filter = (from, to, message) => {
      if (from === this.subject.id) this.#said.push({ to, message })
      return false
    }
  }

  /** Steps alone: nothing is taken, so that several arrive in one turn. */
  arrive(from: NodeId, message: Message): void {
    this.subject.step({
      type: 'message',
      from: { id: from, incarnation: this.world.server(from).incarnation },
      genesis: this.subject.raft.state.genesis,
      message,
    })
  }

  say(from: NodeId, message: Message): void {
    this.arrive(from, message)
    this.subject.take()
  }

  /** What the server has said of that kind since this was last asked. */
  heard<T extends Message['type']>(type: T): Said<T>[] {
    const those = this.#said.filter(({ message }) => message.type === type)
    this.#said = this.#said.filter(({ message }) => message.type !== type)
    return those.map(({ to, message }) => ({ ...(message as Said<T>), to }))
  }

  pass(milliseconds: number): void {
    this.world.now += milliseconds
    this.subject.do({ type: 'time' })
  }

  requestVote(term: Term, last: readonly [Index, Term], pre = false): Message {
    const [lastIndex, lastTerm] = last
    return { type: 'requestVote', term, pre, ballot: ++this.#round, lastIndex, lastTerm, transfer: !pre }
  }

  append(term: Term, prev: readonly [Index, Term], entries: readonly Entry[], commit: Index = 0): Message {
    const [prevIndex, prevTerm] = prev
    const records = entries.map((entry, at) => this.record(prevIndex + 1 + at, entry))
    const bytes = encodeRecords(records, this.subject.raft.log.checksumSeed)
    const round = ++this.#round
    const { length: count } = entries
    return { type: 'appendEntries', term, round, prevIndex, prevTerm, commit, count, records: count > 0 ? [bytes] : [] }
  }

  private record(index: Index, entry: Entry): LogRecord {
    const [term, what] = typeof entry === 'number' ? [entry, `${index}`] : entry
    const isText = typeof what === 'string'
    const payload = isText ? new TextEncoder().encode(what) : encodeConfig(what)
    return { kind: isText ? recordKind.command : recordKind.config, index, term, time: 0, seed: 0, payload }
  }

  /** The server leads: it stands, and the others vote for it. */
  lead(...voters: readonly NodeId[]): void {
    this.subject.do({ type: 'campaign' })
    if (!this.subject.autoFlush) this.subject.flush()
    const requests = this.heard('requestVote')
    for (const to of voters.length > 0 ? voters : requests.map(({ to }) => to)) this.grant(to, requests)
    if (this.subject.role !== 'leader') throw new AssertionError({ message: 'it was not elected' })
  }

  grant(from: NodeId, requests: readonly Said<'requestVote'>[], granted = true): void {
    const { term, pre, ballot } = requests.find(({ to }) => to === from)!
    this.say(from, { type: 'vote', term: pre ? term - 1 : term, forTerm: term, pre, ballot, granted })
  }

  /** A follower answers the last round: durable up to `match`. */
  acknowledge(from: NodeId, match: Index, round: number = this.round): void {
    this.say(from, { type: 'appended', term: this.subject.raft.state.term, round, match, received: match })
  }

  reject(from: NodeId, prevIndex: Index, hint: readonly [Index, Term], round: number = this.round): void {
    const [hintIndex, hintTerm] = hint
    const { term } = this.subject.raft.state
    this.say(from, { type: 'rejected', term, round, prevIndex, hintIndex, hintTerm, last: hintIndex })
  }

  get round(): number {
    const { role } = this.subject.raft
    return role.type === 'leader' ? role.round : 0
  }
}

/** Servers of the world in those roles. */
export function configOf(world: World, roles: Readonly<Record<NodeId, Role>>): Config {
  const members = Object.entries(roles).map(([id, role]) => {
    const { incarnation } = world.server(id)
    return { id, address: id, incarnation, role }
  })
  return { format: 1, members }
}
