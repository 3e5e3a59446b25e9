/**
 * One listener per signal, however many calls share it: a signal that ends a whole program may have thousands of calls under way, and
 * platforms warn of a leak at the eleventh listener.
 */
export class AbortListeners {
  readonly #waiting = new Map<AbortSignal, { readonly runs: Set<() => void>; readonly listener: () => void }>()

  /** Runs once when the signal aborts, which it must not have done yet. Returns a function that forgets it. */
  add(signal: AbortSignal, run: () => void): () => void {
    let entry = this.#waiting.get(signal)
    if (!entry) {
      const runs = new Set<() => void>()
      const listener = (): void => {
        for (const each of runs) each()
      }
      entry = { runs, listener }
      this.#waiting.set(signal, entry)
      signal.addEventListener('abort', listener)
    }
    const { runs, listener } = entry
    runs.add(run)
    return () => {
      runs.delete(run)
      if (runs.size > 0 || this.#waiting.get(signal)?.runs !== runs) return
      this.#waiting.delete(signal)
      signal.removeEventListener('abort', listener)
    }
  }
}
