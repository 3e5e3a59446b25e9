import type { Change } from '../clients/watcher.ts'

export interface Seen {
  readonly name: string
  readonly changes: readonly Change[]
  readonly compactions: readonly { readonly after: number; readonly upTo: number }[]
}

export interface WatchReport {
  /** Every change that anybody saw, by revision. */
  readonly log: ReadonlyMap<number, Change>
  /** Changes that a reader was not told between two that it was told, without a word about it. */
  readonly gaps: number
  /** Told twice to one reader, or after a later one. */
  readonly disorder: number
  /** Of one revision, two readers were told different things. */
  readonly contradictions: number
  readonly compactions: number
  /** The first few, in words. */
  readonly findings: readonly string[]
}

/** The readers are each other's witnesses: what one was told, all that were there must have been told, once and in order. */
export function judgeWatches(readers: readonly Seen[], from = 0): WatchReport {
  const log = new Map<number, Change>()
  const findings: string[] = []
  let gaps = 0
  let disorder = 0
  let contradictions = 0
  for (const { name, changes } of readers) {
    let last = from
    for (const change of changes) {
      if (change.revision <= last) {
        disorder++
        findings.push(`${name} was told ${change.revision} after ${last}`)
      }
      last = Math.max(last, change.revision)
      const known = log.get(change.revision)
      if (known === undefined) log.set(change.revision, change)
      else if (known.type !== change.type || known.key !== change.key || known.value !== change.value) {
        contradictions++
        findings.push(
          `of ${change.revision}, ${name} was told ${JSON.stringify(change)}, another ${JSON.stringify(known)}`,
        )
      }
    }
  }
  const revisions = [...log.keys()].sort((a, b) => a - b)
  for (const { name, changes, compactions } of readers) {
    const told = new Set(changes.map(({ revision }) => revision))
    for (const revision of revisions) {
      if (told.has(revision) || compactions.some(({ after, upTo }) => revision > after && revision <= upTo)) continue
      gaps++
      if (gaps <= 10) findings.push(`${name} was never told ${revision}: ${JSON.stringify(log.get(revision))}`)
    }
  }
  const announced = readers.reduce((sum, { compactions }) => sum + compactions.length, 0)
  return { log, gaps, disorder, contradictions, compactions: announced, findings: findings.slice(0, 20) }
}
