/** Commits of a term until its pace is judged. */
const enough = 8
/** Terms whose pace is remembered. */
const remembered = 8

/**
 * How long requests wait for the next commit, by terms. Not how many are executed: that depends on what clients ask for, and an honest leader
 * would be blamed for a quiet hour (Aardvark's floor, §3.5, F27).
 */
export class Pace {
  /** Of the current term: milliseconds between commits while something waits, the latest weighing most. */
  #mean = 0
  #count = 0
  #before: readonly number[] = []

  fork(): Pace {
    const copy = new Pace()
    copy.#mean = this.#mean
    copy.#count = this.#count
    copy.#before = this.#before
    return copy
  }

  committed(waited: number): void {
    this.#count++
    this.#mean += (waited - this.#mean) / Math.min(this.#count, enough)
  }

  endTerm(): void {
    if (this.#count >= enough) this.#before = [this.#mean, ...this.#before].slice(0, remembered)
    this.#mean = 0
    this.#count = 0
  }

  /**
   * Whether the leader dawdles: it uses up half of the time that it has each time, or a quarter of it and four times as much as another leader did.
   * Where every leader is as slow, it is the network: after one change nobody is blamed.
   */
  isSlow(timeout: number): boolean {
    if (this.#count < enough) return false
    const best = Math.min(...this.#before)
    return this.#mean > (this.#before.length === 0 ? timeout / 2 : Math.max(timeout / 4, 4 * best))
  }
}
