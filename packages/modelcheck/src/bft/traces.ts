import * as bft from '@raftkit/bft'
import { Entries } from './entries.ts'
import { exploreVotes } from './search.ts'
import { type Setting, setting } from './setting.ts'

interface Weakened {
  readonly title: string
  readonly about: string
  readonly more: Partial<Setting>
}

/** A term vote that says nothing of what its signer is locked on. */
const askWithoutLock: typeof bft.askForTerm = (ballot, term) =>
  term > ballot.term ? { ...bft.askForTerm(ballot, term), stated: 'none' } : ballot

/** What others left out, each by itself. */
export const weakened: readonly Weakened[] = [
  {
    title: 'One phase, and no lock: Tangaroa',
    about:
      'One round of votes commits, as in Tangaroa (Cachin and Vukolić, “Blockchain consensus protocols in the wild”, call it neither live nor safe): a commit is known to whoever happened to see the votes, and nothing that is shown to the next term says so.',
    more: { isOnePhase: true, rules: { ...bft, askForTerm: askWithoutLock } },
  },
  {
    title: 'Two phases, and no lock: Prellblock',
    about:
      'Two rounds of votes commit, but a term vote signs the number of the term alone, as in Prellblock, whose members had to roll back what was committed: the second round locks, and the next term is not told of it.',
    more: { rules: { ...bft, askForTerm: askWithoutLock } },
  },
  {
    title: 'One phase, with locks',
    about:
      'Term votes state locks, but one round of votes commits: a lock is taken by whoever sees a quorum of votes, and a commit needs no more than that one member has seen it. So a quorum can begin the next term without anybody who knows.',
    more: { isOnePhase: true },
  },
]

/** Member m0 lies and leads all terms of the trace: of four members it leads each fourth. */
export function forkOf({ more }: Weakened): readonly string[] {
  const of = setting(new Entries(['a', 'b']), [0, 4], { ...more, isForkOnly: true })
  const { violation } = exploreVotes(of)
  if (violation === undefined) throw new Error('no fork within two terms: the rule that was left out did no harm')
  return [...violation.steps, `${violation.invariant}: broken by ${violation.what}`]
}

export function traces(): string {
  const lines = [
    '# Forks, step by step',
    '',
    '*Answers: what goes wrong without the second phase, or without locks in term votes?*',
    '',
    'Four members, of which one, m0, is Byzantine: it signs whatever there is to sign, and leads terms 0 and 4. Messages between the others are late. Each',
    'of these is a shortest run to two committed entries that contradict each other, found by the model checker with one rule of',
    '`packages/bft/src/rules.ts` taken away; with the rules as they are it finds none. Written by',
    '`npm run modelcheck -- --protocol bft --traces`; a test holds it.',
  ]
  for (const each of weakened) {
    lines.push('', `## ${each.title}`, '', each.about, '')
    for (const [at, step] of forkOf(each).entries()) lines.push(`${at + 1}. ${step}`)
  }
  return lines.join('\n')
}
