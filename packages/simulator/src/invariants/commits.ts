import type { Index, Outgoing, Term } from '@raftkit/contract'
import type { Message } from '@raftkit/core'
import { shown } from './encoding.ts'
import { Invariant } from './invariant.ts'
import { isQuorum } from './quorum.ts'
import type { View } from './view.ts'

export class StateMachineSafety extends Invariant {
  readonly name = 'state machine safety'
  readonly says =
    'If a server takes an entry for committed, no server ever takes another one for committed at that index.'
  readonly source = 'Raft paper §5.4.3, Figure 3'

  booted(view: View): void {
    this.#compare(view, view.memory.log.first - 1, view.commit)
  }

  committed(view: View, from: Index): void {
    this.#compare(view, from, view.commit)
  }

  #compare(view: View, from: Index, to: Index): void {
    const { committed, frontier } = this.cluster
    const { log } = view.memory
    for (let index = Math.max(from + 1, log.first); index <= Math.min(to, frontier); index++) {
      const entry = log.at(index)
      const known = committed[index]!
      if (entry !== undefined && entry !== known)
        this.broken(
          `${view.key} takes entry ${index} of term ${entry.term} for committed; elsewhere it is one of term ${known.term}`,
        )
    }
  }
}

export class CommitRises extends Invariant {
  readonly name = 'commit never falls'
  readonly says = "A process's commit index never falls, and never passes the end of its log."
  readonly source = 'Raft paper Figure 2 (commitIndex increases monotonically); hazard R6'

  moved(view: View, from: Index): void {
    if (view.commit < from) this.broken(`${view.key} goes from commit ${from} back to ${view.commit}`)
  }

  committed(view: View): void {
    if (view.commit > view.memory.log.last)
      this.broken(`${view.key} has commit ${view.commit}, and a log up to ${view.memory.log.last}`)
  }
}

export class CommitKnown extends Invariant {
  readonly name = 'nobody commits but a leader'
  readonly says = 'No server takes for committed what no leader has committed.'
  readonly source = 'Raft paper §5.3, Figure 2 (leaderCommit); hazards R2, R6'

  booted(view: View): void {
    this.#check(view)
  }

  committed(view: View): void {
    this.#check(view)
  }

  #check(view: View): void {
    const { frontier } = this.cluster
    if (view.commit > frontier)
      this.broken(`${view.key} has commit ${view.commit}; leaders have committed up to ${frontier}`)
  }
}

export class CommittedByQuorum extends Invariant {
  readonly name = 'committed by a quorum'
  readonly says =
    'When a leader commits an entry, the disks of a quorum of the configuration in its log, by each half of a joint one, hold that entry.'
  readonly source = 'Raft paper §5.3, §6; thesis §10.2.1; hazards M2, M13, R5, R8, R13'

  decides(view: View, to: Index): void {
    const { log } = view.memory
    const entry = log.at(to)
    if (entry === undefined) this.broken(`${view.key} commits ${to}, which its log of ${log.first} … ${log.last} lacks`)
    const holders: string[] = []
    for (const [key, disk] of this.cluster.disks) if (disk.holds(to, entry.term)) holders.push(key)
    const has = (key: string): boolean => holders.includes(key)
    // A batch that commits may also append the configuration that follows; what it was counted by is one of those in force meanwhile.
    const now = view.memory.config.config
    const before = view.configBefore
    if (isQuorum(before, has)) return
    if (now !== before) {
      for (const { config } of log.configs.slice(-3)) if (config !== undefined && isQuorum(config, has)) return
    }
    this.broken(`${view.key} commits ${to}, which the disks of ${holders.join(', ') || 'nobody'} hold`, {
      configuration: shown(before),
    })
  }
}

export class CommitOwnTerm extends Invariant {
  readonly name = 'commit by an entry of the own term'
  readonly says =
    'A leader commits by counting only entries of its own term; what is older is committed by what follows.'
  readonly source = 'Raft paper §5.4.2, Figure 8; hazard R1'

  decides(view: View, to: Index, term: Term): void {
    const entry = view.memory.log.at(to)
    if (entry !== undefined && entry.term !== term)
      this.broken(`the leader of term ${term}, ${view.key}, commits entry ${to} of term ${entry.term}`)
  }
}

export class LeaderCompleteness extends Invariant {
  readonly name = 'leader completeness'
  readonly says = 'The log of a leader holds every entry that was committed in an earlier term.'
  readonly source = 'Raft paper §5.4.3, Figure 3'

  turned(view: View): void {
    if (view.role !== 'leader') return
    const { committed, committedIn, frontier } = this.cluster
    const { log } = view.memory
    for (let index = frontier; index >= log.first; index--) {
      if (committedIn[index]! < view.term && log.at(index) !== committed[index]) this.#lacks(view, index)
    }
    if (frontier < log.first - 1) return
    const base = committed[log.first - 1]
    if (base !== undefined && log.base >= 0 && log.base !== base.term) this.#lacks(view, log.first - 1)
  }

  /** A deposed leader that commits: those that lead later terms must have had it from the beginning. */
  decides(view: View, to: Index, term: Term): void {
    const entry = view.memory.log.at(to)
    for (const [later, { view: other }] of this.cluster.leaders) {
      if (later <= term || this.cluster.leading(later) === undefined || entry === undefined) continue
      if (!other.memory.holds(to, entry.term)) this.#lacks(other, to)
    }
  }

  #lacks(view: View, index: Index): never {
    this.broken(`${view.key} leads term ${view.term} without the committed entry ${index}`)
  }
}

export class AcknowledgedByLeader extends Invariant {
  readonly name = 'what is acknowledged is the leader’s'
  readonly says = "An acknowledgement covers nothing but entries of the log of that term's leader."
  readonly source = 'Raft paper §5.3 (matchIndex); hazards R3, R5'

  left(view: View, { message }: Outgoing<Message>): void {
    if (message.type !== 'appended' || message.match === 0) return
    const leader = this.cluster.leading(message.term)
    const mine = view.memory.log.at(message.match)
    // While it waited to leave, the log may have moved on to another leader.
    if (leader === undefined || mine === undefined || view.term !== message.term) return
    const theirs = leader.memory.log.at(message.match)
    const covered = message.match < leader.memory.log.first
    if (!covered && theirs !== mine)
      this.broken(
        `${view.key} acknowledges entry ${message.match} of term ${mine.term} to ${leader.key}, whose entry there is ${theirs === undefined ? 'none' : `of term ${theirs.term}`}`,
      )
  }
}

export class MatchIsTrue extends Invariant {
  readonly name = 'match is on the disk'
  readonly says =
    'What a leader counts for a peer, the disk of that peer, under that incarnation, holds, unless it follows a later term already.'
  readonly source = 'Raft paper Figure 2 (matchIndex); hazards R2, R5, M13'
  readonly #known = new Map<View, Map<string, Index>>()

  took(view: View): void {
    const { role } = view.raft
    if (role.type !== 'leader') {
      this.#known.delete(view)
      return
    }
    let known = this.#known.get(view)
    if (known === undefined) {
      known = new Map()
      this.#known.set(view, known)
    }
    for (const [key, { match, amnesic }] of role.progress) {
      if (match === 0 || amnesic || known.get(key) === match) continue
      known.set(key, match)
      const term = view.memory.log.termAt(match)
      const disk = this.cluster.disks.get(key)
      if (term === undefined || term < 0) continue // compacted here: the snapshot in force speaks for it
      // An old acknowledgement that reaches a deposed leader: what it told of may have been overwritten since, and commits nothing.
      if (disk?.state !== undefined && disk.state.term > view.term) continue
      if (disk === undefined || !disk.holds(match, term))
        this.broken(`${view.key} counts ${key} for entry ${match}, which the disk of ${key} does not hold`)
    }
  }
}

export class LeaderSaysItsLog extends Invariant {
  readonly name = 'a leader says what its log says'
  readonly says =
    'Who replicates leads that term; the entry before, the records and the commit index it sends are those of its own log.'
  readonly source = 'Raft paper §5.3 (AppendEntries); hazards R11, R12'

  took(view: View, { messages }: { readonly messages: readonly Outgoing<Message>[] }): void {
    for (const { message } of messages) {
      if (message.type !== 'appendEntries') continue
      const { term, prevIndex, prevTerm, count, commit, records } = message
      const { log } = view.memory
      const leader = this.cluster.leaders.get(term)
      if (leader === undefined || leader.key !== view.key)
        this.broken(`${view.key} replicates in term ${term}, which ${leader?.key ?? 'nobody'} was elected to lead`)
      if (commit > view.commit) this.broken(`${view.key} tells commit ${commit}; it has ${view.commit}`)
      // A heartbeat that compares nothing names entry 0, which every log begins behind.
      if (prevIndex === 0 && prevTerm === 0 && count === 0) continue
      const before = log.termAt(prevIndex)
      if (before === undefined || (before >= 0 && before !== prevTerm))
        this.broken(
          `${view.key} says that entry ${prevIndex} has term ${prevTerm}; in its log of ${log.first} … ${log.last} it has ${before ?? 'no place'}`,
        )
      if (prevIndex + count > log.last)
        this.broken(`${view.key} sends entries up to ${prevIndex + count} of a log that ends at ${log.last}`)
      if (count > 0) this.#records(view, prevIndex + 1, count, records)
    }
  }

  /** First bytes of each record against the log: length, then checksum. */
  #records(view: View, first: Index, count: number, parts: readonly Uint8Array[]): void {
    let index = first
    for (const bytes of parts) {
      for (let offset = 0; offset < bytes.length; index++) {
        const entry = view.memory.log.at(index)
        const checksum = word(bytes, offset + 4)
        if (entry === undefined || entry.checksum !== checksum)
          this.broken(`${view.key} sends as entry ${index} what is not its entry ${index}`)
        offset += Math.max(8, word(bytes, offset))
      }
    }
    if (index !== first + count) this.broken(`${view.key} says ${count} records and sends ${index - first}`)
  }
}

const word = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
