interface Happening {
  readonly at: number
  readonly order: number
  readonly run: () => void
}

/** What is to happen, by time, and of equal times in the order in which it was put down. A binary heap. */
export class Agenda {
  readonly #heap: Happening[] = []
  #order = 0

  get size(): number {
    return this.#heap.length
  }

  /** When the next thing happens; infinite: never. */
  get next(): number {
    return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY
  }

  put(at: number, run: () => void): void {
    const heap = this.#heap
    const happening = { at, order: this.#order++, run }
    let place = heap.push(happening) - 1
    while (place > 0) {
      const above = (place - 1) >> 1
      if (!isBefore(happening, heap[above]!)) break
      heap[place] = heap[above]!
      place = above
    }
    heap[place] = happening
  }

  take(): Happening | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let place = 0
    for (;;) {
      let below = 2 * place + 1
      if (below >= heap.length) break
      if (below + 1 < heap.length && isBefore(heap[below + 1]!, heap[below]!)) below++
      if (!isBefore(heap[below]!, last)) break
      heap[place] = heap[below]!
      place = below
    }
    heap[place] = last
    return first
  }
}

const isBefore = (a: Happening, b: Happening): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)
