import type { LedgerEntry } from '../machine.ts'

/** What the clerks know, and what the ledger holds in the end. */
export interface Account {
  /** By content, which nobody wrote twice: what f + 1 members said of it at the time. */
  readonly acknowledged: ReadonlyMap<string, LedgerEntry>
  readonly unknown: ReadonlySet<string>
  readonly ledger: readonly LedgerEntry[]
}

export interface Verdict {
  /** Acknowledged, and not there. */
  readonly lost: number
  /** Acknowledged at one place with one hash, and there at another or with another. */
  readonly moved: number
  readonly duplicated: number
  /** There, and never written. */
  readonly phantom: number
}

/** Everything acknowledged is there once, just as it was acknowledged, and nothing else but what was of unknown fate. */
export function judge({ acknowledged, unknown, ledger }: Account): Verdict {
  const found = new Map<string, LedgerEntry>()
  let duplicated = 0
  let phantom = 0
  for (const entry of ledger) {
    const content = String(entry.content)
    if (found.has(content)) duplicated++
    if (!acknowledged.has(content) && !unknown.has(content)) phantom++
    found.set(content, entry)
  }
  const entries = [...acknowledged].map(([content, said]) => ({ said, there: found.get(content) }))
  const lost = entries.filter(({ there }) => there === undefined).length
  const moved = entries.filter(
    ({ said, there }) => there !== undefined && (there.position !== said.position || there.hash !== said.hash),
  ).length
  return { lost, moved, duplicated, phantom }
}
