/** Bytes that grow. */
export class Bytes {
  #room: Uint8Array = new Uint8Array(0)
  length = 0

  /** As it is now; changes show. */
  get view(): Uint8Array {
    return this.#room.subarray(0, this.length)
  }

  write(bytes: Uint8Array, position: number): void {
    this.resize(Math.max(this.length, position + bytes.length))
    this.#room.set(bytes, position)
  }

  /** Shorter, or longer by zeros. */
  resize(length: number): void {
    if (length > this.#room.length) {
      const room = new Uint8Array(Math.max(length, 2 * this.#room.length))
      room.set(this.view)
      this.#room = room
    } else if (length < this.length) this.#room.fill(0, length, this.length)
    this.length = length
  }

  replace(bytes: Uint8Array): void {
    this.resize(0)
    this.write(bytes, 0)
  }
}
