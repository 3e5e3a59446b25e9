import type { Config, Index, Outgoing, Term } from '@raftkit/contract'
import type { Message } from '@raftkit/core'
import { keyOf } from './encoding.ts'
import { Invariant } from './invariant.ts'
import { isQuorum } from './quorum.ts'
import type { View } from './view.ts'

/** The term a message speaks for its sender; undefined: it promises none. */
function termOf(message: Message): Term | undefined {
  switch (message.type) {
    case 'requestVote':
      return message.pre ? message.term - 1 : message.term
    case 'vote':
    case 'appendEntries':
    case 'appended':
    case 'rejected':
    case 'offerSnapshot':
    case 'timeoutNow':
      return message.term
    default:
      return undefined
  }
}

export class TermBeforeSend extends Invariant {
  readonly name = 'term durable before it is told'
  readonly says = "A message leaves only when the sender's disk holds the term it tells, and the cluster it belongs to."
  readonly source = 'Raft paper §5.1, Figure 2; hazards E2, E4'

  left(view: View, { message }: Outgoing<Message>): void {
    const { state } = view.disk
    if (state === undefined) this.broken(`${view.id} speaks before its disk holds who it is`)
    if (keyOf(state) !== view.key) this.broken(`${view.key} speaks on the disk of ${keyOf(state)}`)
    const term = termOf(message)
    if (term !== undefined && term > state.term)
      this.broken(`${view.key} tells term ${term} (${message.type}); its disk holds ${state.term}`)
    if (message.type !== 'found' && state.genesis === '' && view.genesis !== '')
      this.broken(`${view.key} speaks as a member (${message.type}) before its disk holds the founding`)
  }
}

export class VoteBeforeSend extends Invariant {
  readonly name = 'vote durable before it is told'
  readonly says = 'A vote leaves, and a candidate asks for votes, only when the disk holds that vote or a later term.'
  readonly source = 'Raft paper §5.2, Figure 2 (votedFor); hazards E2, E3'

  left(view: View, { message, to, incarnation }: Outgoing<Message>): void {
    if (message.type === 'vote' && message.granted && !message.pre)
      this.#check(view, message.forTerm, keyOf({ id: to, incarnation }))
    else if (message.type === 'requestVote' && !message.pre) this.#check(view, message.term, view.key)
  }

  #check(view: View, term: Term, vote: string): void {
    const { state } = view.disk
    if (state !== undefined && (state.term > term || (state.term === term && state.vote === vote))) return
    this.broken(
      `${view.key} tells its vote for ${vote} in term ${term}; its disk holds term ${state?.term ?? 0} and the vote ${state?.vote || 'none'}`,
    )
  }
}

export class EntriesBeforeSend extends Invariant {
  readonly name = 'entries durable before they are acknowledged'
  readonly says = 'What a follower acknowledges, its disk holds, each entry of it as it stands in its log.'
  readonly source = 'Raft paper §5.3, Figure 2; hazards R10, R13, D5'

  left(view: View, { message }: Outgoing<Message>): void {
    if (message.type !== 'appended' || message.match === 0) return
    const { disk, memory } = view
    const { match } = message
    const end: Index = Math.max(disk.log.last, disk.state?.snapshot?.index ?? 0)
    if (match > end && (disk.state?.term ?? 0) <= message.term)
      this.broken(`${view.key} acknowledges entries up to ${match}; its disk holds them up to ${end}`)
    const here = memory.log.at(match)
    if (view.term === message.term && here !== undefined && !disk.holds(match, here.term))
      this.broken(`${view.key} acknowledges entry ${match} of term ${here.term}, which its disk does not hold`)
  }
}

export class CommitSurvives extends Invariant {
  readonly name = 'committed entries survive'
  readonly says =
    'Whatever crashes, the last committed entry stays on the disks of a quorum of the newest committed configuration.'
  readonly source = 'Raft paper §5.4.3 (Leader Completeness rests on it); hazards D1, D3, D5, S4'

  /** What the last decision may have been counted by: a leader counts by what is in force in its log, committed or not. */
  #counted: readonly Config[] = []

  decides(view: View): void {
    const { memory } = view
    this.#counted = [memory.config.config, ...memory.log.configs.slice(-3).map(({ config }) => config!)]
  }

  crashed(view: View): void {
    this.#check(`${view.id} crashed`)
  }

  ended(): void {
    this.#check('the run has ended')
  }

  #check(when: string): void {
    const { cluster } = this
    const entry = cluster.committed[cluster.frontier]
    if (entry === undefined) return
    const configs = [...cluster.configs.slice(-2).map(({ config }) => config), ...this.#counted]
    const holders: string[] = []
    for (const [key, disk] of cluster.disks) if (disk.holds(entry.index, entry.term)) holders.push(key)
    if (configs.some((config) => isQuorum(config, (key) => holders.includes(key)))) return
    this.broken(
      `${when}, and the committed entry ${entry.index} is on the disks of ${holders.join(', ') || 'nobody'} only`,
    )
  }
}
