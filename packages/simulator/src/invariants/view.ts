import type { Config, Index, Term } from '@raftkit/contract'
import type { Raft } from '@raftkit/core'
import type { Server } from '../world/server.ts'
import { keyOf, type StateSeen } from './encoding.ts'
import { LogSeen } from './log.ts'

/** State and log, of a process or of a disk. */
export class Content {
  state: StateSeen | undefined
  /** The bytes that `state` was read from. */
  stateBytes: Uint8Array | undefined
  log: LogSeen = new LogSeen()

  copy(): Content {
    const copy = new Content()
    copy.state = this.state
    copy.stateBytes = this.stateBytes
    copy.log = this.log.copy()
    return copy
  }

  /** The configuration in force: the last one in the log, else the snapshot's (design rule 4). Index 0: there is none. */
  get config(): { readonly index: Index; readonly config: Config } {
    return this.configAt(this.log.last)
  }

  configAt(index: Index): { readonly index: Index; readonly config: Config } {
    const { configs } = this.log
    const snapshot = this.state?.snapshot
    for (let at = configs.length - 1; at >= 0; at--) {
      const entry = configs[at]!
      if (entry.index <= index && entry.index > (snapshot?.configIndex ?? 0))
        return entry as typeof entry & { config: Config }
    }
    return snapshot === undefined ? nothing : { index: snapshot.configIndex, config: snapshot.config }
  }

  /** Whether the entry is here: in the log, or under the snapshot in force. */
  holds(index: Index, term: Term): boolean {
    const { snapshot } = this.state ?? {}
    if (snapshot !== undefined && index <= snapshot.index) return true
    return this.log.at(index)?.term === term
  }
}

const nothing = { index: 0, config: { format: 1, members: [] } }

/** What is known of one server: what its process last showed, what that process wrote, and what its disk holds. */
export class View {
  readonly server: Server
  /** A process runs, and its protocol is open. */
  up = false
  /** `id/incarnation` of this boot. */
  key = ''

  // The live protocol, as it was after the last event.
  term: Term = 0
  vote = ''
  role: 'follower' | 'preCandidate' | 'candidate' | 'leader' = 'follower'
  commit: Index = 0
  genesis = ''

  /** As the process sees it: the disk at boot, and all it wrote since. */
  memory: Content = new Content()
  /** As a crash would leave it. */
  disk: Content = new Content()

  /** Since the last `take`: the commit index before, and how far this server raised it itself, as the leader of which term. */
  commitBefore: Index = 0
  ledTo: Index = 0
  ledTerm: Term = 0
  /** The configuration that was in force when it was taken last: a batch may count by it, and then append the next. */
  configBefore: Config = nothing.config

  constructor(server: Server) {
    this.server = server
  }

  get id(): string {
    return this.server.id
  }

  get raft(): Raft {
    return this.server.protocol!
  }

  /** By its own clock, in milliseconds. */
  get now(): number {
    return this.server.clock.now(this.server.world.now)
  }

  /** A new process. */
  boot(): void {
    const { state, role, commit } = this.raft
    this.up = true
    this.key = keyOf(state)
    this.term = state.term
    this.vote = state.vote === undefined ? '' : keyOf(state.vote)
    this.role = role.type
    this.commit = commit
    this.genesis = state.genesis
    this.memory = this.disk.copy()
    this.endBatch()
  }

  endBatch(): void {
    this.commitBefore = this.commit
    this.configBefore = this.memory.config.config
    this.ledTo = 0
    this.ledTerm = 0
  }
}
