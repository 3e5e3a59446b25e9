import { failed, type Outcome } from './campaign.ts'

/** What many runs add up to. */
export class Total {
  seeds = 0
  events = 0
  #simulatedMs = 0
  #busyMs = 0
  #checked = 0
  #acknowledged = 0
  #lost = 0
  #violations = 0
  #first: { readonly invariant: string; readonly seed: number; readonly events: number } | undefined
  #uncovered = 0
  readonly #faults = new Map<string, number>()
  readonly #counts = new Map<string, number>()
  readonly #hashes: [seed: number, hash: string][] = []
  readonly #convergences: number[] = []

  add(outcome: Outcome): void {
    this.seeds++
    this.events += outcome.events
    this.#simulatedMs += outcome.simulatedMs
    this.#busyMs += outcome.tookMs
    this.#checked += outcome.checked
    this.#acknowledged += outcome.acknowledged
    this.#lost += outcome.lost
    if (outcome.violation) {
      this.#violations++
      this.#first ??= { invariant: outcome.violation.invariant, seed: outcome.seed, events: outcome.events }
    } else if (failed(outcome)) this.#uncovered++
    if (outcome.convergence !== undefined) this.#convergences.push(outcome.convergence)
    for (const [kind, count] of Object.entries(outcome.faults)) addTo(this.#faults, kind, count)
    for (const [what, count] of Object.entries(outcome.counts)) addTo(this.#counts, what, count)
    this.#hashes.push([outcome.seed, outcome.traceHash])
  }

  get blackouts(): number {
    return this.#faults.get('blackout') ?? 0
  }

  /** `seconds`: of the clock on the wall. */
  figures(seconds: number): object {
    const sum = (outcome: string): number =>
      [...this.#counts].reduce((all, [what, count]) => (what.endsWith(` ${outcome}`) ? all + count : all), 0)
    return {
      seeds: this.seeds,
      events: this.events,
      violations: this.#violations,
      ...(this.#first && { first: this.#first }),
      uncovered: this.#uncovered,
      eventsPerSecond: Math.round(this.events / seconds),
      eventsPerSecondPerCore: Math.round(this.events / (this.#busyMs / 1000)),
      seconds: Math.round(seconds * 10) / 10,
      simulatedSeconds: Math.round(this.#simulatedMs / 1000),
      operations: { done: sum('done'), refused: sum('refused'), unknown: sum('unknown') },
      blackouts: this.blackouts,
      acknowledged: this.#acknowledged,
      lost: this.#lost,
      historiesChecked: this.#checked,
      convergence: { median: this.#convergence(0.5), p99: this.#convergence(0.99), most: this.#convergence(1) },
      faults: Object.fromEntries([...this.#faults].sort()),
      traceHash: this.#hash(),
    }
  }

  /** In election timeouts. */
  #convergence(share: number): number | undefined {
    const sorted = this.#convergences.sort((a, b) => a - b)
    const at = Math.min(sorted.length - 1, Math.floor(sorted.length * share))
    return at < 0 ? undefined : Math.round(sorted[at]! * 100) / 100
  }

  /** Of one seed its own; of many, one over all, in the order of the seeds. */
  #hash(): string {
    if (this.#hashes.length === 1) return this.#hashes[0]![1]
    let a = 0x811c9dc5
    let b = 0x9e3779b9
    for (const [, hash] of this.#hashes.sort((x, y) => x[0] - y[0]))
      for (let i = 0; i < hash.length; i++) {
        a = Math.imul(a ^ hash.charCodeAt(i), 0x01000193)
        b = Math.imul((b << 13) | (b >>> 19), 0x85ebca6b) ^ hash.charCodeAt(i)
      }
    return [a, b].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('')
  }
}

function addTo(map: Map<string, number>, key: string, count: number): void {
  map.set(key, (map.get(key) ?? 0) + count)
}
