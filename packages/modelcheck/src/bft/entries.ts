import { createHash } from 'node:crypto'
import { type Digest, type Entry, flawOfEntry, type Hash, headerHash, itemsRoot, span, type Tree } from '@raftkit/bft'

export const sha256: Digest = (bytes) => createHash('sha256').update(bytes).digest()

/** An entry that may be proposed: a real one, with its real hash. */
export interface Known {
  /** The way to it: '' is the founding, 'ab' the child of 'a'. Letters that are small may be exchanged for one another; C is a configuration. */
  readonly word: string
  readonly entry: Entry
  readonly hash: Hash
  readonly parent: number
  /** The entry that its epoch begins with. */
  readonly era: number
  /** As the protocol itself judges it and all before it. */
  readonly isLegal: boolean
}

const nobody = '00'.repeat(32)
const letters = 'abcdefgh'

/** All entries of a scope: what it leaves out is never proposed. */
export class Entries implements Tree {
  readonly list: readonly Known[]
  /** Ways to exchange entries for one another so that nothing else changes; the first changes nothing. */
  readonly symmetries: readonly (readonly number[])[]
  readonly #at: ReadonlyMap<Hash, number>
  /** By entry, a bit for each entry that holds it. */
  readonly #held: readonly number[]

  /** `words`: parents before children. 'C!' is a child of a configuration that pretends to be of the same epoch. `configuration`: what C holds. */
  constructor(words: readonly string[], configuration: Uint8Array = new Uint8Array(1)) {
    const list: Known[] = [foundingOf()]
    for (const word of words) list.push(child(list, word, configuration))
    this.list = list
    this.#at = new Map(list.map(({ hash }, at) => [hash, at]))
    this.#held = list.map((_, older) =>
      list.reduce((bits, _newer, newer) => (isBelow(list, older, newer) ? bits | (1 << newer) : bits), 0),
    )
    this.symmetries = symmetriesOf(list)
  }

  at(hash: Hash): number {
    return this.#at.get(hash)!
  }

  holds(older: Hash, newer: Hash): boolean {
    return this.has(this.at(older), this.at(newer))
  }

  has(older: number, newer: number): boolean {
    return (this.#held[older]! & (1 << newer)) !== 0
  }

  /** Whether its epoch ended before it: said by names alone, whatever the protocol says. */
  endsBefore(at: number): boolean {
    return this.list[at]!.word.includes('C!')
  }

  isOneChain(a: number, b: number): boolean {
    return this.has(a, b) || this.has(b, a)
  }
}

function foundingOf(): Known {
  const items = [new TextEncoder().encode('founding')]
  const header = {
    ...({ epoch: 0, index: 0, term: 0, kind: 'config', parent: nobody } as const),
    ...{ root: itemsRoot(sha256, items), position: 0, time: 0 },
  }
  return { word: '', entry: { header, items }, hash: headerHash(sha256, header), parent: -1, era: 0, isLegal: true }
}

function child(list: readonly Known[], word: string, configuration: Uint8Array): Known {
  const letter = word.at(-1)!
  const parent = list.findIndex((known) => known.word === word.slice(0, -1))
  const before = list[parent]!
  const isBehindConfig = before.word.endsWith('C')
  const follows = isBehindConfig && letter !== '!'
  const items = letter === 'C' ? [configuration] : []
  const header = {
    epoch: before.entry.header.epoch + (follows ? 1 : 0),
    index: before.entry.header.index + 1,
    term: 0,
    kind: letter === 'C' ? ('config' as const) : ('noop' as const),
    parent: before.hash,
    root: itemsRoot(sha256, items),
    position: before.entry.header.position + span(before.entry),
    // Tells children of one parent apart.
    time: before.entry.header.time + Math.max(0, letters.indexOf(letter)),
  }
  const entry = { header, items }
  const flaw = flawOfEntry(sha256, entry, before.entry)
  // An entry that nobody may vote for would make its scope show nothing.
  if (flaw !== undefined && letter !== '!') throw new Error(`entry ${word} is not as entries must be: ${flaw}`)
  const isLegal = before.isLegal && flaw === undefined
  return { word, entry, hash: headerHash(sha256, header), parent, era: follows ? parent : before.era, isLegal }
}

function isBelow(list: readonly Known[], older: number, newer: number): boolean {
  for (let at = newer; at >= 0; at = list[at]!.parent) if (at === older) return true
  return false
}

function symmetriesOf(list: readonly Known[]): number[][] {
  const found: number[][] = []
  const kind = (at: number): string => {
    const letter = list[at]!.word.at(-1) ?? ''
    return letters.includes(letter) ? 'a' : letter
  }
  const extend = (image: readonly number[]): void => {
    const at = image.length
    if (at === list.length) {
      found.push([...image])
      return
    }
    for (let to = 1; to < list.length; to++)
      if (!image.includes(to) && list[to]!.parent === image[list[at]!.parent] && kind(to) === kind(at))
        extend([...image, to])
  }
  extend([0])
  return found
}
