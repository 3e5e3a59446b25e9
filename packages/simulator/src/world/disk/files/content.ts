import type { Random } from '../../../random.ts'
import { Bytes } from '../bytes.ts'

/** What a power cut leaves whole or not at all. */
const sector = 512

/** A change of a file that was made; `certain`: it is synced for itself. */
type Change = { readonly order: number; readonly certain: boolean } & (
  | { readonly bytes: Uint8Array; readonly position: number }
  | { readonly size: number }
)

/** What a file holds, as readers see it, and as a power cut may leave it. */
export class Content {
  readonly #seen = new Bytes()
  readonly #synced = new Bytes()
  /** Made and not synced, in order. What is certain waits only for uncertain ones before it. */
  #unsynced: Change[] = []
  #order = 0

  get size(): number {
    return this.#seen.length
  }

  get synced(): Uint8Array {
    return this.#synced.view
  }

  read(into: Uint8Array, position: number): number {
    const held = this.#seen.view.subarray(position, position + into.length)
    into.set(held)
    return held.length
  }

  write(bytes: Uint8Array, position: number, certain = false): void {
    this.#seen.write(bytes, position)
    this.#made({ order: ++this.#order, certain, bytes, position })
  }

  truncate(size: number): void {
    this.#seen.resize(size)
    this.#made({ order: ++this.#order, certain: false, size })
  }

  /** The last change so far, for a `sync` that begins now. */
  get mark(): number {
    return this.#order
  }

  /** Everything up to the mark is durable. */
  sync(mark: number): void {
    let done = 0
    for (; done < this.#unsynced.length && this.#unsynced[done]!.order <= mark; done++)
      apply(this.#synced, this.#unsynced[done]!)
    this.#unsynced.splice(0, done)
    this.#settle()
  }

  /** A sync failed: some of what was not synced is durable, the rest never will be, and readers see it all the same. */
  failSync(random: Random): void {
    for (const change of this.#unsynced) applySome(this.#synced, change, random, 0.5)
    this.#unsynced = []
  }

  /** A write that nobody hears the end of: any part of it is made. */
  tear(bytes: Uint8Array, position: number, random: Random): void {
    for (const part of torn(bytes, position, random, 0.5)) this.write(part.bytes, part.position)
  }

  /** Each change that was not synced is there, or not, or in part: lost with this chance, sector by sector. */
  cutPower(random: Random, lost: number): void {
    for (const change of this.#unsynced) applySome(this.#synced, change, random, lost)
    this.#unsynced = []
    this.#seen.replace(this.#synced.view)
  }

  /** Harm at rest: other bytes than were written, for readers and for good. */
  overwrite(bytes: Uint8Array, position: number): void {
    this.#seen.write(bytes, position)
    this.#synced.write(bytes, position)
  }

  /** Likewise, of the whole file. */
  replace(bytes: Uint8Array): void {
    this.#seen.replace(bytes)
    this.#synced.replace(bytes)
  }

  #made(change: Change): void {
    this.#unsynced.push(change)
    this.#settle()
  }

  #settle(): void {
    let done = 0
    while (this.#unsynced[done]?.certain) apply(this.#synced, this.#unsynced[done++]!)
    if (done > 0) this.#unsynced.splice(0, done)
  }
}

function apply(to: Bytes, change: Change): void {
  if ('size' in change) to.resize(change.size)
  else to.write(change.bytes, change.position)
}

function applySome(to: Bytes, change: Change, random: Random, lost: number): void {
  if (change.certain) return apply(to, change)
  // Most changes are there or not; some are torn.
  const whole = random.chance(0.6)
  if (whole || 'size' in change) {
    if (!random.chance(lost)) apply(to, change)
    return
  }
  const { bytes, position } = change
  // The length may be known and the bytes not.
  if (!random.chance(lost)) to.resize(Math.max(to.length, position + bytes.length))
  for (const part of torn(bytes, position, random, lost)) to.write(part.bytes, part.position)
}

function torn(
  bytes: Uint8Array,
  position: number,
  random: Random,
  lost: number,
): { readonly bytes: Uint8Array; readonly position: number }[] {
  const parts: { bytes: Uint8Array; position: number }[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + sector - ((position + at) % sector))
    if (!random.chance(lost)) parts.push({ bytes: bytes.subarray(at, end), position: position + at })
    at = end
  }
  return parts
}
