import { recordKind } from '@raftkit/bytes'
import { Violation } from '../explore/model.ts'
import { lastOf } from '../invariants.ts'
import type { Logs } from './logs.ts'
import type { Machine } from './scope.ts'

/**
 * What an onlooker knows who sees all servers and clients at once: the history that a state alone does not tell. Two runs that come to equal
 * states of servers and network, but with different histories, are two states.
 */
export interface Known {
  /** Every entry that some server has known to be committed, from index 1 on, and the term in which it was first. */
  readonly committed: readonly { readonly entry: number; readonly term: number }[]
  /** Who led, by term. */
  readonly leaders: readonly { readonly term: number; readonly slot: number }[]
  /** Proposals that were told: certainly not. */
  readonly refused: readonly number[]
  /** How many commands a read must see: those that were acknowledged, or seen by a read that was answered. */
  readonly seen: number
  /** Reads under way: what `seen` was when they began. */
  readonly reads: readonly { readonly id: number; readonly floor: number }[]
}

export const nothing: Known = { committed: [], leaders: [], refused: [], seen: 0, reads: [] }

export type News =
  | { readonly type: 'leads'; readonly slot: number; readonly id: string; readonly term: number; readonly log: number }
  | {
      readonly type: 'commits'
      readonly id: string
      readonly term: number
      readonly log: number
      readonly index: number
    }
  /** The machine after the entries up to `index`. */
  | { readonly type: 'holds'; readonly id: string; readonly index: number; readonly state: string }
  | { readonly type: 'acknowledged'; readonly proposal: number; readonly index: number; readonly term: number }
  | { readonly type: 'refused'; readonly proposal: number }
  | { readonly type: 'asked'; readonly read: number }
  | { readonly type: 'answered'; readonly read: number; readonly state: string }
  /** A read will not be answered. */
  | { readonly type: 'dropped'; readonly read: number }

/** What the watcher knows after that. Throws `Violation`. */
export function told(known: Known, news: News, logs: Logs, machine: Machine): Known {
  switch (news.type) {
    case 'leads':
      return leads(known, news, logs)
    case 'commits':
      return commits(known, news, logs)
    case 'holds': {
      const expected = replayed(known, news.index, logs, machine)
      if (expected !== news.state)
        throw new Violation(
          'state machine safety',
          `${news.id} has applied ${news.index} and holds “${news.state}”; the log says “${expected}”`,
        )
      const wrong = machine.wrong?.(news.state)
      if (wrong !== undefined) throw new Violation('machine', `${news.id}: ${wrong}`)
      return known
    }
    case 'acknowledged': {
      const there = known.committed[news.index - 1]
      const entry = there && logs.entries[there.entry]
      if (entry?.proposal !== news.proposal || entry.term !== news.term)
        throw new Violation(
          'acknowledged is committed',
          `proposal ${news.proposal} at ${news.index} of term ${news.term}`,
        )
      const before = known.committed.slice(0, news.index)
      const seen = before.filter(({ entry: id }) => logs.entries[id]!.kind === recordKind.command).length
      return { ...known, seen: Math.max(known.seen, seen) }
    }
    case 'refused':
      if (known.committed.some(({ entry }) => logs.entries[entry]!.proposal === news.proposal))
        throw new Violation('refused is not committed', `proposal ${news.proposal} was refused, and is committed`)
      return { ...known, refused: [...known.refused, news.proposal].sort() }
    case 'asked':
      return { ...known, reads: [...known.reads, { id: news.read, floor: known.seen }] }
    case 'dropped':
      return { ...known, reads: known.reads.filter(({ id }) => id !== news.read) }
    case 'answered': {
      const read = known.reads.find(({ id }) => id === news.read)
      // The server that was asked crashed meanwhile; nobody waits for the answer.
      if (read === undefined) return known
      const commands = news.state === '' ? 0 : news.state.split(',').length
      if (commands < read.floor)
        throw new Violation(
          'reads are linearizable',
          `a read that began when ${read.floor} commands were known to be done sees ${commands}: “${news.state}”`,
        )
      return {
        ...known,
        seen: Math.max(known.seen, commands),
        reads: known.reads.filter(({ id }) => id !== news.read),
      }
    }
  }
}

/** Election Safety (§5.2), and Leader Completeness (§5.4): whoever begins to lead has all that was committed in earlier terms. */
function leads(known: Known, { slot, id, term, log: logId }: News & { type: 'leads' }, logs: Logs): Known {
  const other = known.leaders.find((leader) => leader.term === term)
  // Not even the same server twice: its first life may have forgotten its vote, and its log may be another.
  if (other !== undefined) {
    const who = other.slot === slot ? 'it did before' : 'so did another one'
    throw new Violation('election safety', `${id} is elected in term ${term}, and ${who}`)
  }
  const log = logs.all[logId]!
  known.committed.forEach(({ entry, term: committedIn }, at) => {
    const index = at + 1
    if (committedIn < term && index >= log.first && log.entries[index - log.first]?.id !== entry)
      throw new Violation(
        'leader completeness',
        `${id} leads in term ${term} without the entry ${index} of term ${committedIn}`,
      )
  })
  return { ...known, leaders: [...known.leaders, { term, slot }].sort((a, b) => a.term - b.term) }
}

/** State Machine Safety (§5.4.3): no two servers ever hold different entries committed at one index. */
function commits(known: Known, { id, term, log: logId, index }: News & { type: 'commits' }, logs: Logs): Known {
  const log = logs.all[logId]!
  if (index > lastOf(log)) throw new Violation('no hole', `${id} commits ${index}, its log ends at ${lastOf(log)}`)
  const committed = [...known.committed]
  for (let at = log.first; at <= index; at++) {
    const entry = log.entries[at - log.first]!
    const before = committed[at - 1]
    if (before === undefined) {
      if (at !== committed.length + 1)
        throw new Violation(
          'state machine safety',
          `${id} commits ${at}, and nobody has committed ${committed.length + 1}`,
        )
      committed.push({ entry: entry.id, term })
      if (known.refused.includes(entry.proposal))
        throw new Violation(
          'refused is not committed',
          `proposal ${entry.proposal} was refused, and is committed at ${at}`,
        )
    } else if (before.entry !== entry.id) {
      throw new Violation(
        'state machine safety',
        `${id} commits another entry at ${at} than was committed there before`,
      )
    }
  }
  return committed.length === known.committed.length ? known : { ...known, committed }
}

/** The machine after the committed entries up to `index`, from the empty one on. */
function replayed(known: Known, index: number, logs: Logs, machine: Machine): string {
  let state = machine.empty
  known.committed.slice(0, index).forEach(({ entry: id }, at) => {
    const entry = logs.entries[id]!
    if (entry.kind === recordKind.command) state = machine.apply(state, entry.command, at + 1).state
  })
  return state
}
