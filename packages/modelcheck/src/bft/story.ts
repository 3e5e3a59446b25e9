import { Violation } from '../explore/model.ts'
import type { Votes } from './votes.ts'

interface Fingerprint {
  readonly high: number
  readonly low: number
}

/** A run, told step by step with names that stay: found again by the fingerprints of its states, the last step by what it breaks. */
export function tell(
  votes: Votes,
  path: readonly Fingerprint[],
  invariant: string,
  fingerprint: (state: readonly number[]) => Fingerprint,
): { readonly steps: string[]; readonly what: string | undefined } {
  const steps: string[] = []
  let what: string | undefined
  let state = votes.first()
  for (const sought of [...path, undefined]) {
    const next = follow(votes, state, (to) => {
      if (sought === undefined) {
        what = broken(votes, to, invariant)
        return what !== undefined
      }
      const { high, low } = fingerprint(to)
      return high === sought.high && low === sought.low
    })
    if (next === undefined) return { steps: [...steps, 'the rest of this run could not be told again'], what }
    steps.push(next.line)
    state = next.to
  }
  return { steps, what }
}

function broken(votes: Votes, state: readonly number[], invariant: string): string | undefined {
  try {
    votes.view(state)
  } catch (error) {
    if (!(error instanceof Violation)) throw error
    return error.invariant === invariant ? error.message : undefined
  }
  return undefined
}

function follow(
  votes: Votes,
  state: readonly number[],
  isSought: (to: readonly number[]) => boolean,
): { readonly to: number[]; readonly line: string } | undefined {
  const view = votes.view(state)
  for (const [who, member] of state.entries()) {
    let at: number
    try {
      at = votes.steps(member, view)
    } catch (error) {
      if (!(error instanceof Violation)) throw error
      return { to: [...state], line: `${votes.claims.honest[who]!} breaks its promises: ${error.message}` }
    }
    for (let step = 0; step < votes.pool[at]!; step++) {
      const to = state.map((same, other) => (other === who ? votes.pool[at + 1 + 2 * step]! : same))
      if (!isSought(to)) continue
      return { to, line: sentence(votes, who, votes.pool[at + 2 + 2 * step]!, state, to) }
    }
  }
  return undefined
}

function sentence(votes: Votes, who: number, deed: number, from: readonly number[], to: readonly number[]): string {
  const { claims, members, setting } = votes
  const { list } = setting.entries
  const name = claims.honest[who]!
  const entry = (at: number): string => (list[at]!.word === '' ? 'the founding' : `entry ${list[at]!.word}`)
  const before = members.all[from[who]!]!
  const after = members.all[to[who]!]!
  const what = members.deeds[deed]!
  const isVote = before.appended !== after.appended || before.committed !== after.committed
  const { era } = before
  const said = ((): string => {
    switch (what.type) {
      case 'append': {
        const leader = `the leader of term ${what.term}, ${claims.leader(era, what.term)},`
        const shown =
          what.term === 0 ? '' : `shows a certificate by which the term begins with ${entry(what.anchor)}, and `
        const reply = isVote ? `${name} votes to append it` : `${name} enters the term, and does not vote`
        return `${leader} ${shown}sends ${name} ${entry(what.entry)}: ${reply}`
      }
      case 'certified': {
        const claim = claims.list[what.claim]!
        const reply = [
          before.ballot.lock === after.ballot.lock ? [] : ['locks on it'],
          isVote ? ['votes to commit it'] : [],
        ].flat()
        return `${name} is shown the append certificate of ${entry(claim.entry)} in term ${claim.term}: ${name} ${reply.join(' and ') || `enters term ${claim.term}`}`
      }
      case 'ask': {
        const lock = after.asked.at(-1)!.lock
        const states =
          lock < 0 ? 'no lock' : `a lock on ${entry(claims.list[lock]!.entry)} of term ${claims.list[lock]!.term}`
        return `${name} gives up on all terms before ${what.term}: its term vote states ${states}`
      }
      case 'begin':
        return `${name} is shown the commit certificate of ${entry(what.era)}: a new epoch begins with it`
    }
  })()
  return [said, ...news(votes, from, to).map((line) => `; ${line}`)].join('')
}

/** What can be put together now that could not be before. */
function news(votes: Votes, from: readonly number[], to: readonly number[]): string[] {
  const { claims, members, setting } = votes
  return (setting.isOnePhase ? (['append'] as const) : (['append', 'commit'] as const)).flatMap((phase) => {
    const votesOf = (state: readonly number[]): number[] =>
      state.map((member) => (phase === 'append' ? members.appended : members.committed)[member]!)
    const after = votesOf(to)
    const fresh = claims.certified(phase, after) & ~claims.certified(phase, votesOf(from))
    return claims.list.flatMap((claim, at) => {
      if ((fresh & (1 << at)) === 0) return []
      const signers = claims.honest.filter((_, who) => (after[who]! & (1 << at)) !== 0)
      const all = [...new Set([setting.liar, ...signers])].sort().join(', ')
      const word = setting.entries.list[claim.entry]!.word
      const means = setting.isOnePhase || phase === 'commit' ? 'it is COMMITTED' : 'an append certificate'
      return [`${all} have signed ${phase} votes for entry ${word} in term ${claim.term}: ${means}`]
    })
  })
}
