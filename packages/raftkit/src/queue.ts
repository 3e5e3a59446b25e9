/** First in, first out, and out of the middle; every operation in constant time on average. */
export class Queue<T> {
  readonly #items = new Map<number, T>()
  readonly #places = new Map<T, number>()
  #head = 0
  #tail = 0

  get size(): number {
    return this.#items.size
  }

  push(item: T): void {
    this.#places.set(item, this.#tail)
    this.#items.set(this.#tail++, item)
  }

  shift(): T | undefined {
    while (this.#head < this.#tail) {
      const item = this.#items.get(this.#head++)
      if (item === undefined) continue
      this.#items.delete(this.#head - 1)
      this.#places.delete(item)
      return item
    }
    return undefined
  }

  remove(item: T): void {
    const place = this.#places.get(item)
    if (place === undefined) return
    this.#places.delete(item)
    this.#items.delete(place)
  }

  clear(): void {
    this.#items.clear()
    this.#places.clear()
    this.#head = this.#tail
  }
}
