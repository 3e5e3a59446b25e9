/** Members tell a number that was used from a new one among so many: who runs further ahead of its oldest open request loses that. */
const window = 256

/** The numbers of one session. Each operation has one; a request takes as many as it has operations, and waits until they fit the window. */
export class Numbers {
  #next = 1
  readonly #open: Set<number> = new Set()
  readonly #waiting: { readonly count: number; readonly give: (seq: number) => void }[] = []

  /** Runs `give` with the first of `count` numbers, now or once there is room. Returns a function that forgets it if it still waits. */
  take(count: number, give: (seq: number) => void): () => void {
    const one = { count, give }
    this.#waiting.push(one)
    this.#serve()
    return () => {
      const at = this.#waiting.indexOf(one)
      if (at >= 0) this.#waiting.splice(at, 1)
      this.#serve()
    }
  }

  /** The request that begins with this number is settled: nobody sends it any more. */
  release(seq: number): void {
    this.#open.delete(seq)
    this.#serve()
  }

  #serve(): void {
    for (let one = this.#waiting[0]; one; one = this.#waiting[0]) {
      const lowest = Math.min(this.#next, ...this.#open)
      if (this.#next + one.count - lowest > window) return
      this.#waiting.shift()
      const seq = this.#next
      this.#next += one.count
      this.#open.add(seq)
      one.give(seq)
    }
  }
}
