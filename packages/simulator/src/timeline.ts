/** What happens at a time. Cancelled: `run` is gone. */
export interface Due<Owner> {
  time: number
  order: number
  run: (() => void) | undefined
  /** Whose doing it is: nothing of it happens while that one stands still, or after it is gone. */
  readonly owner: Owner | undefined
}

/**
 * Virtual time: a binary heap of (time, order of scheduling), and a queue of what is due at once. Times are milliseconds, rounded up to
 * whole microseconds, so that they print short and equal everywhere.
 */
export class Timeline<Owner> {
  #now = 0
  #order = 0
  #heap: Due<Owner>[] = []
  #soon: Due<Owner>[] = []
  #soonAt = 0
  #cancelled = 0

  get now(): number {
    return this.#now
  }

  /** What waits, cancelled things left out. */
  get size(): number {
    return this.#heap.length + this.#soon.length - this.#soonAt - this.#cancelled
  }

  at(time: number, run: () => void, owner?: Owner): Due<Owner> {
    if (!(time > this.#now)) return this.soon(run, owner)
    const due = { time: Math.ceil(time * 1000 - 1e-4) / 1000, order: this.#order++, run, owner }
    const heap = this.#heap
    let at = heap.length
    heap.push(due)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!before(due, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = due
    return due
  }

  /** Now, after all that is due now already. */
  soon(run: () => void, owner?: Owner): Due<Owner> {
    const due = { time: this.#now, order: this.#order++, run, owner }
    this.#soon.push(due)
    return due
  }

  /** Now, what was taken off before it could happen. */
  again(due: Due<Owner>): void {
    due.time = this.#now
    due.order = this.#order++
    this.#soon.push(due)
    if (due.run === undefined) this.#cancelled++
  }

  cancel(due: Due<Owner>): void {
    if (due.run === undefined) return
    due.run = undefined
    // Timeouts of calls are long and mostly cancelled: they shall not fill the heap.
    if (++this.#cancelled > 64 && this.#cancelled * 2 > this.#heap.length) this.#sweep()
  }

  /** Takes the next thing off, and moves the clock to it. Undefined: nothing is due at or before `until`. */
  next(until: number): Due<Owner> | undefined {
    for (;;) {
      const due = this.#pop(until)
      if (due === undefined) return undefined
      if (due.run === undefined) {
        this.#cancelled--
        continue
      }
      this.#now = due.time
      return due
    }
  }

  /** Nothing is due before `time`: the clock moves there. */
  skip(time: number): void {
    if (time > this.#now && time < Number.POSITIVE_INFINITY) this.#now = time
  }

  clear(): void {
    this.#heap = []
    this.#soon = []
    this.#soonAt = 0
    this.#cancelled = 0
  }

  #pop(until: number): Due<Owner> | undefined {
    const soon = this.#soon[this.#soonAt]
    const first = this.#heap[0]
    if (soon !== undefined && (first === undefined || before(soon, first))) {
      if (++this.#soonAt === this.#soon.length) {
        this.#soon.length = 0
        this.#soonAt = 0
      }
      return soon
    }
    if (first === undefined || first.time > until) return undefined
    const last = this.#heap.pop()!
    if (last !== first) this.#sink(last)
    return first
  }

  /** Puts `due` in at the top. */
  #sink(due: Due<Owner>): void {
    const heap = this.#heap
    const { length } = heap
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= length) break
      if (child + 1 < length && before(heap[child + 1]!, heap[child]!)) child++
      if (!before(heap[child]!, due)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = due
  }

  #sweep(): void {
    const kept = this.#heap.filter(({ run }) => run !== undefined)
    this.#cancelled -= this.#heap.length - kept.length
    this.#heap = kept.sort((a, b) => (before(a, b) ? -1 : 1)) // sorted is a heap, too
  }
}

function before<Owner>(a: Due<Owner>, b: Due<Owner>): boolean {
  return a.time < b.time || (a.time === b.time && a.order < b.order)
}
