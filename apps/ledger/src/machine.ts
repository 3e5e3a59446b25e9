import { createHash } from 'node:crypto'
import { encodeValue, toHex } from '@raftkit/bytes'
import { defineMachine, Refusal } from 'raftkit'

/** Text, or what JSON can say. */
export type Content = string | number | boolean | null | Content[] | { [name: string]: Content }

/** One line of the ledger. It never changes, and none before it does: `hash` covers it and all before. */
export type LedgerEntry = {
  /** From 1 on, without gaps. */
  number: number
  /** In the log of the cluster: what a receipt proves. */
  position: number
  /** Milliseconds since the epoch, by the clock of whoever led. */
  time: number
  /** The public key that signed it, in hex; a member's own where nobody outside did. */
  author: string
  content: Content
  hash: string
}

/** How far the ledger goes. */
export type Tip = { entries: number; hash: string }

type Ledger = { entries: LedgerEntry[] }

/** Of one entry, encoded. */
export const mostContentBytes = 64 * 1024
/** Of one page. */
export const mostRead = 1_000

const nothing = '00'.repeat(32)

const tipOf = ({ entries }: Ledger): Tip => ({ entries: entries.length, hash: entries.at(-1)?.hash ?? nothing })

/** What `hash` of an entry is: anyone who has read a stretch can check it from the hash before. */
export function hashAfter(
  before: string,
  { number, position, time, author, content }: Omit<LedgerEntry, 'hash'>,
): string {
  const hash = createHash('sha256').update(encodeValue(['raftkit ledger 1', before]))
  return hash.update(encodeValue([number, position, time, author, content])).digest('hex')
}

/** Append-only: no command changes or removes what is there. */
export const ledger = defineMachine({
  version: 1,
  initial: (): Ledger => ({ entries: [] }),
  commands: {
    append: (state: Ledger, { content }: { content: Content }, { index, time, client }): LedgerEntry => {
      if (encodeValue(content).length > mostContentBytes)
        throw new Refusal(`an entry has at most ${mostContentBytes} bytes`, { code: 'TOO_LARGE' })
      const { entries, hash } = tipOf(state)
      const author = client === undefined ? '' : toHex(client)
      const entry = { number: entries + 1, position: index, time, author, content }
      const whole = { ...entry, hash: hashAfter(hash, entry) }
      state.entries.push(whole)
      return whole
    },
    /** Changes nothing: as a command, it stands in one order with all appends, so that what it answers is the newest. */
    tip: (state: Ledger): Tip => tipOf(state),
  },
  queries: {
    tip: (state: Ledger): Tip => tipOf(state),
    /** Entries `from` … `to` by number; null: not all of them are here yet. */
    range: (state: Ledger, { from, to }: { from: number; to: number }): LedgerEntry[] | null =>
      to > state.entries.length ? null : state.entries.slice(Math.max(0, from - 1), Math.min(to, from - 1 + mostRead)),
  },
})
