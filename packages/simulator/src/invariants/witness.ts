import type { Command, Effects, LogWrite, Outgoing, ProtocolEvent } from '@raftkit/contract'
import type { Message } from '@raftkit/core'
import type { NodeEvent } from 'raftkit'
import type { Ending, Operation, Watcher } from '../watcher.ts'
import type { Server } from '../world/server.ts'
import type { World } from '../world/world.ts'
import { Cluster } from './cluster.ts'
import { keyOf, readState } from './encoding.ts'
import type { Hooks, Judge } from './invariant.ts'
import { type Clash, Entries, type Entry, type Unreadable } from './log.ts'
import { Content, type View } from './view.ts'

type Told = { [Name in keyof Hooks]-?: Pick<Required<Hooks>, Name>[] }

const hooks = [
  'booted',
  'stepping',
  'stepped',
  'promised',
  'turned',
  'moved',
  'took',
  'wrote',
  'decides',
  'committed',
  'unreadable',
  'clashed',
  'stored',
  'left',
  'issued',
  'ran',
  'restored',
  'told',
  'crashed',
  'operation',
  'ended',
] as const satisfies readonly (keyof Hooks)[]

/**
 * Watches a world for a set of invariants: keeps, step by step, what each process and each disk holds, decoded from the bytes alone,
 * and tells the invariants what changed. So each of them is checked after every event, and costs nothing where nothing changed.
 */
export class Witness implements Watcher {
  readonly cluster: Cluster = new Cluster()
  readonly #told: Told = Object.fromEntries(hooks.map((name) => [name, []])) as unknown as Told
  /** The records each disk held when it was last looked at, beside the entries read from them. */
  readonly #records = new Map<string, Uint8Array[]>()
  readonly #liveState = new Map<View, object>()

  constructor(invariants: readonly Judge[]) {
    for (const invariant of invariants) {
      invariant.cluster = this.cluster
      for (const name of hooks) if (invariant[name]) (this.#told[name] as Hooks[]).push(invariant)
    }
  }

  booted(server: Server): void {
    const view = this.cluster.view(server)
    this.#look(view)
    view.boot()
    this.#liveState.set(view, view.raft.state)
    for (const each of this.#told.booted) each.booted(view)
  }

  stepping(server: Server, event: ProtocolEvent<Message>, now: number): void {
    if (this.#told.stepping.length === 0) return
    const view = this.cluster.view(server)
    for (const each of this.#told.stepping) each.stepping(view, event, now)
  }

  stepped(server: Server, event: ProtocolEvent<Message>, now: number): void {
    const view = this.cluster.view(server)
    this.#compare(view)
    for (const each of this.#told.stepped) each.stepped(view, event, now)
  }

  took(server: Server, effects: Effects<Message>, now: number): void {
    const view = this.cluster.view(server)
    this.#compare(view)
    if (effects.write !== undefined) this.#write(view, effects.write)
    if (view.ledTo > this.cluster.frontier) this.#decide(view)
    if (view.commit > view.commitBefore)
      for (const each of this.#told.committed) each.committed(view, view.commitBefore)
    for (const each of this.#told.took) each.took(view, effects, now)
    view.endBatch()
  }

  left(server: Server, outgoing: Outgoing<Message>): void {
    const view = this.cluster.view(server)
    for (const each of this.#told.left) each.left(view, outgoing)
  }

  issued(server: Server, write: { readonly id: number; readonly change: LogWrite }): void {
    const view = this.cluster.view(server)
    for (const each of this.#told.issued) each.issued(view, write)
  }

  durable(server: Server): void {
    this.#look(this.cluster.view(server))
  }

  applied(server: Server, commands: readonly Command[], results: readonly Uint8Array[]): void {
    const view = this.cluster.view(server)
    for (const each of this.#told.ran) each.ran(view, commands, results)
  }

  restored(server: Server): void {
    const view = this.cluster.view(server)
    for (const each of this.#told.restored) each.restored(view)
  }

  told(server: Server, event: NodeEvent): void {
    const view = this.cluster.view(server)
    for (const each of this.#told.told) each.told(view, event)
  }

  crashed(server: Server, how: Ending): void {
    const view = this.cluster.view(server)
    view.up = false
    for (const each of this.#told.crashed) each.crashed(view, how)
  }

  operation(operation: Operation): void {
    for (const each of this.#told.operation) each.operation(operation)
  }

  ended(world: World): void {
    for (const each of this.#told.ended) each.ended(world)
  }

  /** What the live protocol shows, against what it showed before. */
  #compare(view: View): void {
    const { raft } = view
    if (raft.state !== this.#liveState.get(view)) {
      this.#liveState.set(view, raft.state)
      const { term, vote } = view
      view.term = raft.state.term
      view.vote = raft.state.vote === undefined ? '' : keyOf(raft.state.vote)
      view.genesis = raft.state.genesis
      if (view.term !== term || view.vote !== vote)
        for (const each of this.#told.promised) each.promised(view, term, vote)
    }
    if (raft.role.type !== view.role) {
      const from = view.role
      view.role = raft.role.type
      for (const each of this.#told.turned) each.turned(view, from)
      const { leaders } = this.cluster
      if (view.role === 'leader' && !leaders.has(view.term))
        leaders.set(view.term, { view, key: view.key, boot: view.server.boots })
    }
    if (raft.commit !== view.commit) {
      const from = view.commit
      view.commit = raft.commit
      if (view.role === 'leader') {
        view.ledTo = view.commit
        view.ledTerm = view.term
      }
      for (const each of this.#told.moved) each.moved(view, from)
    }
  }

  /** The process writes: from now on this is its log and its state. */
  #write(view: View, { id, change }: { readonly id: number; readonly change: LogWrite }): void {
    const { memory } = view
    const { log } = memory
    const { tail, compactTo } = change
    const before = memory.state
    if (change.state !== undefined) {
      memory.state = readState(change.state)
      memory.stateBytes = change.state
    }
    let gone: readonly Entry[] = []
    const added: Entry[] = []
    let from = log.last + 1
    if (tail !== undefined) {
      from = tail.at
      const fits = tail.reset === true || (tail.at >= log.first && tail.at <= log.last + 1)
      if (!fits)
        this.#unreadable(view, 'memory', {
          index: tail.at,
          reason: `it is written behind a log of ${log.first} … ${log.last}`,
        })
      gone = tail.reset === true ? log.reset(tail.at, this.#base(memory, tail.at)) : log.cut(tail.at)
      const { bytes, count } = tail.run
      let offset = 0
      for (let index = tail.at; index < tail.at + count; index++) {
        const entry = this.#read(view, 'memory', bytes, offset, index, log.termAt(index - 1) ?? -1)
        if (entry === undefined) break
        log.push(entry)
        added.push(entry)
        offset = Entries.end(bytes, offset)
      }
      if (offset !== bytes.length)
        this.#unreadable(view, 'memory', {
          index: log.last,
          reason: `${bytes.length - offset} bytes stand behind the last of ${count} records`,
        })
    }
    if (compactTo !== undefined) {
      if (compactTo > log.last)
        this.#unreadable(view, 'memory', { index: compactTo, reason: `compaction beyond the last entry ${log.last}` })
      log.compact(Math.min(compactTo, log.last) + 1)
    }
    const written = {
      id,
      change,
      from,
      gone,
      added,
      reset: tail?.reset === true,
      before,
      stateChanged: change.state !== undefined,
    }
    for (const each of this.#told.wrote) each.wrote(view, written)
  }

  #decide(view: View): void {
    const { cluster } = this
    for (const each of this.#told.decides) each.decides(view, view.ledTo, view.ledTerm)
    for (let index = cluster.frontier + 1; index <= view.ledTo; index++) {
      const entry = view.memory.log.at(index)
      if (entry === undefined) break
      cluster.commit(entry, view.ledTerm)
    }
  }

  /** The disk holds something else than when it was last looked at. Writes change a log from some index on, and nothing before it. */
  #look(view: View): void {
    const { server } = view
    const { state, first, last, records } = server.disk.durable
    if (state === undefined && view.disk.state !== undefined) {
      // Wiped: what the former incarnation held stays known under its key.
      view.disk = new Content()
      this.#records.delete(view.id)
    }
    const { disk } = view
    const before = disk.state
    const stateChanged = state !== disk.stateBytes
    if (state !== undefined && stateChanged) {
      disk.state = readState(state)
      disk.stateBytes = state
      this.cluster.disks.set(keyOf(disk.state), disk)
    }
    let held = this.#records.get(view.id)
    if (held === undefined) {
      held = []
      this.#records.set(view.id, held)
    }
    const { log } = disk
    const lowest = Math.max(first, log.first)
    let same = Math.min(last, log.last)
    while (same >= lowest && held[same - log.first] !== records[same - first]) same--
    let gone: readonly Entry[]
    let from = same + 1
    const reset = first > log.last + 1 || (first > log.first && same < lowest)
    if (reset) {
      gone = log.reset(first, this.#base(disk, first))
      held.length = 0
      from = first
    } else {
      gone = log.cut(from)
      held.length = Math.max(0, from - log.first)
      if (first > log.first) {
        held.splice(0, first - log.first)
        log.compact(first)
      }
    }
    const added: Entry[] = []
    for (let index = from; index <= last; index++) {
      const record = records[index - first]!
      const there = gone[index - (gone[0]?.index ?? index)]
      const entry = this.#read(view, 'disk', record, 0, index, log.termAt(index - 1) ?? -1, there)
      if (entry === undefined) break
      held.push(record)
      log.push(entry)
      added.push(entry)
    }
    const change = { from, gone, added, reset, before, stateChanged }
    for (const each of this.#told.stored) each.stored(view, change)
  }

  #base({ state }: Content, at: number): number {
    if (at === 1) return 0
    return state?.snapshot?.index === at - 1 ? state.snapshot.term : -1
  }

  #read(
    view: View,
    where: 'memory' | 'disk',
    bytes: Uint8Array,
    offset: number,
    index: number,
    previous: number,
    there?: Entry,
  ): Entry | undefined {
    const genesis = (where === 'disk' ? view.disk.state?.genesis : view.memory.state?.genesis) ?? ''
    const found = this.cluster.entries.read(bytes, offset, index, previous, genesis)
    if ('reason' in found) {
      // A disk that was damaged on purpose held what was written there; what is made of the damage, its next boot shows. The process
      // may have dropped it from its own log already, in a write that is not durable.
      if (where === 'disk' && view.server.disk.damaged) return there ?? view.memory.log.at(index)
      this.#unreadable(view, where, found)
      return undefined
    }
    if ('other' in found) {
      const clash: Clash = found
      for (const each of this.#told.clashed) each.clashed(view, clash)
      return clash.other
    }
    return found
  }

  #unreadable(view: View, where: 'memory' | 'disk', record: Unreadable): void {
    for (const each of this.#told.unreadable) each.unreadable(view, where, record)
  }
}
