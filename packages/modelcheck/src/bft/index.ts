import type { Subject } from '../scopes/index.ts'
import { Entries } from './entries.ts'
import { exploreVotes } from './search.ts'
import { configuration, type Setting, setting } from './setting.ts'

interface Scope {
  readonly name: string
  readonly about: string
  readonly words: readonly string[]
  readonly terms: number
  /** Who votes in the second epoch. */
  readonly next?: readonly string[]
  readonly more?: Partial<Setting>
  readonly states?: number
}

const oneSlot = ['a', 'b']
const twoSlots = ['a', 'b', 'aa', 'ab', 'ba', 'bb']
const four = ['m0', 'm1', 'm2', 'm3']
/** One of the three honest members leaves, and another joins. */
const changed = ['m0', 'm2', 'm3', 'm4']

/** What the voting rules of certified Raft may meet: the leader of every term is against them, and one member signs whatever there is to sign. */
const scopes: readonly Scope[] = [
  ...['m0', 'm1', 'm2', 'm3'].map((liar): Scope => {
    return { name: `one-slot-${liar}`, about: `one slot, ${liar} lies`, words: oneSlot, terms: 3, more: { liar } }
  }),
  { name: 'three-values', about: 'one slot, three entries to choose from', words: ['a', 'b', 'c'], terms: 2 },
  {
    name: 'five-members',
    about: 'one slot, five members, where a majority is no quorum',
    words: oneSlot,
    terms: 2,
    more: { seats: [...four, 'm4'] },
  },
  { name: 'two-slots', about: 'two slots, one behind the other', words: twoSlots, terms: 2, states: 60_000_000 },
  { name: 'two-slots-3', about: 'two slots, three terms', words: twoSlots, terms: 3, states: 20_000_000 },
  {
    name: 'epoch',
    about: 'a configuration ends the epoch, and all stay; the next one has a single term',
    words: ['a', 'C', 'Ca', 'Cb', 'C!'],
    terms: 2,
    more: { laterTerms: 1 },
  },
  {
    name: 'epoch-joins',
    about: 'a configuration ends the epoch: an honest member leaves, another joins; the next one has a single term',
    words: ['a', 'C', 'Ca', 'Cb', 'C!'],
    terms: 2,
    next: changed,
    more: { laterTerms: 1 },
  },
  {
    name: 'epoch-one-of-two',
    about:
      'two configurations in different places, of which one at most can end the epoch; the next one has a single term',
    words: ['a', 'C', 'aC', 'Ca', 'C!'],
    terms: 2,
    next: changed,
    more: { laterTerms: 1 },
  },
  {
    name: 'epoch-contested',
    about: 'two configurations, of which one at most can end the epoch; two terms in each',
    words: ['a', 'C', 'aC', 'Ca', 'Cb', 'C!', 'aCa'],
    terms: 2,
    next: changed,
    states: 20_000_000,
  },
]

export const bftSubjects: readonly Subject[] = scopes.map(
  ({ name, about, words, terms, next = four, more, states }) => ({
    ...{ name, about, states },
    bounds: {
      members: more?.seats?.length ?? 4,
      terms,
      ...(more?.laterTerms ? { later: more.laterTerms } : {}),
      slots: Math.max(...words.map(({ length }) => length)),
      entries: words.length,
      liar: more?.liar ?? 'm0',
      ...(words.some((word) => word.includes('C')) ? { epochs: 2 } : {}),
    },
    explore: (options) =>
      exploreVotes(setting(new Entries(words, configuration(next)), [...Array(terms).keys()], more), options),
  }),
)
