import type { Outgoing, ProtocolEvent, Term } from '@raftkit/contract'
import type { Message } from '@raftkit/core'
import { keyOf, shown } from './encoding.ts'
import { Invariant, type LogChange } from './invariant.ts'
import { isQuorum } from './quorum.ts'
import type { View } from './view.ts'

export class ElectionSafety extends Invariant {
  readonly name = 'election safety'
  readonly says = 'At most one server leads in a term, and it becomes leader of that term once.'
  readonly source = 'Raft paper §5.2, Figure 3'

  turned(view: View): void {
    if (view.role !== 'leader') return
    const known = this.cluster.leaders.get(view.term)
    if (known !== undefined)
      this.broken(`${view.key} leads term ${view.term}, which ${known.key} was elected to lead (boot ${known.boot})`)
  }
}

/** Who granted whom a real vote, as it left for the candidate or as it stands on the candidate's own disk. */
export class ElectedByQuorum extends Invariant {
  readonly name = 'elected by a quorum'
  readonly says =
    'A leader was given the votes of a quorum of the configuration in its log: votes that really left for it, for exactly this term, each durable.'
  readonly source = 'Raft paper §5.2, §6; thesis §4.3; hazards E1, M2, M16'
  readonly #granted = new Map<Term, Map<string, Set<string>>>()

  left(view: View, { message, to, incarnation }: Outgoing<Message>): void {
    if (message.type !== 'vote' || message.pre || !message.granted) return
    this.#voters(message.forTerm, keyOf({ id: to, incarnation })).add(view.key)
  }

  turned(view: View): void {
    if (view.role !== 'leader') return
    const { state } = view.disk
    const voters = this.#voters(view.term, view.key)
    if (state !== undefined && state.term === view.term && state.vote === view.key) voters.add(view.key)
    const { config } = view.memory.config
    if (!isQuorum(config, (key) => voters.has(key)))
      this.broken(`${view.key} leads term ${view.term} with votes of ${[...voters].join(', ') || 'nobody'}`, {
        configuration: shown(config),
      })
  }

  #voters(term: Term, candidate: string): Set<string> {
    let candidates = this.#granted.get(term)
    if (candidates === undefined) {
      candidates = new Map()
      this.#granted.set(term, candidates)
      this.#granted.delete(term - 64) // nobody campaigns for a term so old
    }
    let voters = candidates.get(candidate)
    if (voters === undefined) {
      voters = new Set()
      candidates.set(candidate, voters)
    }
    return voters
  }
}

export class OneVote extends Invariant {
  readonly name = 'one vote per term'
  readonly says =
    'A server under one incarnation votes for one candidate per term, on its disk and in what it sends, whatever restarts it, and in memory until it does.'
  readonly source = 'Raft paper §5.2, Figure 2 (votedFor); hazards E2, E3, R7'
  readonly #votes = new Map<string, Map<Term, string>>()

  promised(view: View, term: Term, vote: string): void {
    // What is neither on the disk nor told, a crash may take back; within one life it stands.
    const known = this.#votes.get(view.key)?.get(view.term) ?? (term === view.term ? vote : '')
    if (known !== '' && known !== view.vote) this.#twice(view.key, view.term, view.vote, known, 'decides')
  }

  stored(view: View, change: LogChange): void {
    const { state } = view.disk
    if (change.stateChanged && state !== undefined && state.vote !== '')
      this.#voted(keyOf(state), state.term, state.vote, 'writes')
  }

  left(view: View, { message, to, incarnation }: Outgoing<Message>): void {
    if (message.type === 'vote' && message.granted && !message.pre)
      this.#voted(view.key, message.forTerm, keyOf({ id: to, incarnation }), 'tells')
  }

  #voted(voter: string, term: Term, candidate: string, how: string): void {
    let votes = this.#votes.get(voter)
    if (votes === undefined) {
      votes = new Map()
      this.#votes.set(voter, votes)
    }
    const known = votes.get(term)
    if (known === candidate) return
    if (known !== undefined) this.#twice(voter, term, candidate, known, how)
    votes.set(term, candidate)
  }

  #twice(voter: string, term: Term, candidate: string, known: string, how: string): never {
    this.broken(`${voter} ${how} a vote for ${candidate || 'nobody'} in term ${term}, in which it voted for ${known}`)
  }
}

export class TermRises extends Invariant {
  readonly name = 'terms never fall'
  readonly says =
    "A server's term never falls: not in memory, not on its disk, and after a restart it is at least what the disk held."
  readonly source = 'Raft paper §5.1, Figure 2 (currentTerm); hazard E5'

  booted(view: View): void {
    const held = view.disk.state
    if (held !== undefined && view.term < held.term)
      this.broken(`${view.key} restarts in term ${view.term}; its disk holds ${held.term}`)
    if (held !== undefined && view.term === held.term && view.vote !== held.vote)
      this.broken(
        `${view.key} restarts in term ${view.term} with the vote ${view.vote || 'none'}; its disk holds ${held.vote || 'none'}`,
      )
  }

  promised(view: View, term: Term): void {
    if (view.term < term) this.broken(`${view.key} goes from term ${term} back to ${view.term}`)
  }

  stored(view: View, { before, stateChanged }: LogChange): void {
    const { state } = view.disk
    if (stateChanged && before !== undefined && state !== undefined && state.term < before.term)
      this.broken(`the disk of ${keyOf(state)} goes from term ${before.term} back to ${state.term}`)
  }
}

export class PreVoteIsFree extends Invariant {
  readonly name = 'a pre-vote promises nothing'
  readonly says = 'Being asked for a pre-vote changes neither term nor vote nor role.'
  readonly source = 'thesis §9.6; hazard E14'
  #before: { readonly term: Term; readonly vote: string; readonly role: string } | undefined

  stepping(view: View, event: ProtocolEvent<Message>): void {
    if (event.type !== 'message' || event.message.type !== 'requestVote' || !event.message.pre) return
    this.#before = { term: view.term, vote: view.vote, role: view.role }
  }

  stepped(view: View): void {
    if (this.#before === undefined) return
    const { term, vote, role } = this.#before
    this.#before = undefined
    if (view.term !== term || view.vote !== vote || view.role !== role)
      this.broken(
        `${view.key} was ${role} in term ${term} with vote ${vote || 'none'}; asked for a pre-vote, it is ${view.role} in term ${view.term} with vote ${view.vote || 'none'}`,
      )
  }
}

export class Identity extends Invariant {
  readonly name = 'identities are never used again'
  readonly says =
    'A process comes up under the incarnation its disk names and with a boot number above all before; an incarnation whose disk is gone never comes back.'
  readonly source = 'design rule 6; hazard M13'
  readonly #boots = new Map<string, number>()
  readonly #gone = new Set<string>()

  booted(view: View): void {
    const { boot } = view.raft.state
    if (this.#gone.has(view.key)) this.broken(`${view.key} is back, though its disk was wiped`)
    const held = view.disk.state
    if (held !== undefined && keyOf(held) !== view.key)
      this.broken(`${view.key} comes up on the disk of ${keyOf(held)}`)
    const before = Math.max(this.#boots.get(view.key) ?? 0, held?.boot ?? 0)
    if (boot <= before) this.broken(`${view.key} comes up as boot ${boot}, after boot ${before}`)
    // Only a boot that became durable was ever heard of; one that did not may be counted again.
    for (const [key] of this.cluster.disks) {
      if (key === view.key || !key.startsWith(`${view.id}/`)) continue
      this.#gone.add(key)
    }
  }

  stored(view: View, { stateChanged }: LogChange): void {
    const { state } = view.disk
    if (stateChanged && state !== undefined) this.#boots.set(keyOf(state), state.boot)
  }
}

export class OneGenesis extends Invariant {
  readonly name = 'one founding'
  readonly says = 'A server that belongs to a cluster belongs to the one that was founded, and never changes it.'
  readonly source = 'design rule 6; hazards N1, M15'
  #genesis = ''

  stored(view: View, { stateChanged, before }: LogChange): void {
    const { state } = view.disk
    if (!stateChanged || state === undefined) return
    if (
      before !== undefined &&
      before.genesis !== '' &&
      before.genesis !== state.genesis &&
      before.incarnation === state.incarnation
    )
      this.broken(`${keyOf(state)} leaves the cluster ${before.genesis} for ${state.genesis || 'none'}`)
    if (state.genesis === '') return
    if (this.#genesis === '') this.#genesis = state.genesis
    if (state.genesis !== this.#genesis)
      this.broken(`${keyOf(state)} belongs to the cluster ${state.genesis}, others to ${this.#genesis}`)
  }
}
