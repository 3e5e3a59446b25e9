/** What the writers know, and what each member holds in the end. */
export interface Evidence {
  readonly acknowledged: ReadonlySet<string>
  readonly unknown: ReadonlySet<string>
  /** Every item found on a member, as often as it was found. */
  readonly found: ReadonlyMap<string, readonly string[]>
}

export interface Verdict {
  /** Acknowledged, and missing on some member. */
  readonly lost: number
  /** Found more than once on some member. */
  readonly duplicated: number
  /** Of unknown fate, and found on some members only. */
  readonly torn: number
  /** Found, and never written. */
  readonly phantom: number
}

/** Every acknowledged item is on every member exactly once, every unknown one on all or on none, and nothing else anywhere. */
export function judge({ acknowledged, unknown, found }: Evidence): Verdict {
  const lost = new Set<string>()
  const duplicated = new Set<string>()
  const phantom = new Set<string>()
  const holders = new Map<string, number>()
  for (const items of found.values()) {
    const here = new Set<string>()
    for (const item of items) {
      if (here.has(item)) duplicated.add(item)
      here.add(item)
      if (!acknowledged.has(item) && !unknown.has(item)) phantom.add(item)
    }
    for (const item of acknowledged) if (!here.has(item)) lost.add(item)
    for (const item of unknown) if (here.has(item)) holders.set(item, (holders.get(item) ?? 0) + 1)
  }
  const torn = [...holders.values()].filter((count) => count < found.size)
  return { lost: lost.size, duplicated: duplicated.size, torn: torn.length, phantom: phantom.size }
}
