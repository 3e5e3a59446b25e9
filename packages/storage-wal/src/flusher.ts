import { crc32 } from 'node:zlib'
import type { GroupId, RaftkitError } from '@raftkit/contract'
import type { Carried, Emptying, Moved } from './emptying.ts'
import { failed } from './failure.ts'
import type { Group, Piece } from './group.ts'
import {
  destroyed,
  encodeItem,
  frameHeadBytes,
  headerBytes,
  type Item,
  itemLength,
  sealHead,
  withState,
} from './layout.ts'
import type { Mark } from './mark.ts'
import type { Wal } from './wal.ts'

interface Waiting {
  readonly resolve: () => void
  readonly reject: (error: RaftkitError) => void
}

/** What one frame says of one group, as it was when the frame took it. */
interface Telling extends Item {
  readonly of: Group
  readonly pieces: readonly Piece[]
  readonly moved: readonly Moved[]
}

/** A frame up to this size is put together in one buffer; a larger one leaves its records where they are. */
const copiedBytesMax = 1_048_576
/** Promises between the end of a flush and a write that answers it: such writes go together. */
const turns = 4

/**
 * One flush at a time, for all groups: while it runs, writes gather, and the next frame takes them all. After a failure nothing is written any more.
 */
export class Flusher {
  /** Of all groups that the log tells of. */
  readonly groups: Map<GroupId, Group>
  readonly #wal: Wal
  readonly #mark: Mark
  readonly #emptying: Emptying
  #waiting: Waiting[] = []
  #dirty: Group[] = []
  #destroyed: Group[] = []
  #running: Promise<void> | undefined
  #failed: RaftkitError | undefined
  #buffer: Buffer = Buffer.allocUnsafeSlow(65_536)

  constructor(wal: Wal, mark: Mark, groups: Map<GroupId, Group>, emptying: Emptying) {
    this.#wal = wal
    this.#mark = mark
    this.groups = groups
    this.#emptying = emptying
  }

  get failed(): RaftkitError | undefined {
    return this.#failed
  }

  /** What was issued for the group is to become durable. Resolves in the order of calls. */
  submit(group: Group): Promise<void> {
    this.#tell(group)
    return this.settled()
  }

  destroy(group: Group): Promise<void> {
    this.groups.delete(group.name)
    this.#destroyed.push(group)
    return this.settled()
  }

  /** Resolves, or rejects, with what was issued so far. */
  settled(): Promise<void> {
    if (this.#failed) return Promise.reject(this.#failed)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#running ??= this.#run()
    })
  }

  /** Resolves after what is pending has settled. */
  async close(): Promise<void> {
    while (this.#running) await this.#running
  }

  async #run(): Promise<void> {
    let flushing: Waiting[] = []
    try {
      for (;;) {
        for (let turn = 0; turn < turns; turn++) await null
        if (this.#waiting.length === 0) break
        const carried = await this.#emptying.next()
        flushing = this.#waiting
        this.#waiting = []
        if (this.#dirty.length > 0 || this.#destroyed.length > 0) await this.#flush(carried)
        for (const { resolve } of flushing) resolve()
        flushing = []
      }
    } catch (error) {
      this.#failed = failed('a write could not be made durable, and nothing is written after it', error)
      for (const { reject } of [...flushing, ...this.#waiting]) reject(this.#failed)
      this.#waiting = []
    }
    this.#running = undefined
  }

  #tell(group: Group): void {
    if (group.dirty) return
    group.dirty = true
    this.#dirty.push(group)
    this.groups.set(group.name, group)
  }

  async #flush(carried: Carried | undefined): Promise<void> {
    const wal = this.#wal
    const tellings = this.#take(carried)
    const needed = this.#oldestNeeded()
    const itemBytes = tellings.reduce((sum, telling) => sum + itemLength(telling), 0)
    const bodyBytes = tellings.reduce(
      (sum, { pieces, moved }) => [...pieces, ...moved].reduce((all, { bytes }) => all + bytes, sum),
      0,
    )
    const headBytes = frameHeadBytes + itemBytes
    const room = await wal.room(headBytes + bodyBytes)

    const copies = headBytes + bodyBytes <= copiedBytesMax
    const bytes = this.#bufferOf(headerBytes + headBytes + (copies ? bodyBytes : 0))
    const head = bytes.subarray(headerBytes, headerBytes + headBytes)
    const { segment, offset } = room
    const chunks: Uint8Array[] = []
    let at = frameHeadBytes
    let body = offset + headBytes
    const put = (chunk: Uint8Array): void => {
      if (copies) bytes.set(chunk, headerBytes + body - offset)
      else chunks.push(chunk)
      body += chunk.length
    }
    const oldest = needed ?? segment.number
    const places = new Map<Moved, number>()
    for (const telling of tellings) {
      for (const piece of telling.pieces) {
        piece.place = segment.base + body
        if (!piece.dropped) segment.needed++
        const from = headerBytes + body - offset
        for (const chunk of piece.chunks) put(chunk)
        const parts = copies ? [bytes.subarray(from, from + piece.bytes)] : piece.chunks
        piece.crc = parts.reduce((crc, part) => crc32(part, crc), 0)
      }
      for (const moved of telling.moved) {
        places.set(moved, segment.base + body)
        put(moved.records)
      }
      at = encodeItem(head, at, telling)
      if (!(telling.flags & destroyed)) telling.of.told(segment, (telling.flags & withState) !== 0)
    }
    const frame = wal.frame
    sealHead(head, { salt: segment.salt, number: frame, oldest, bodyBytes })
    await wal.write(room, bytes, chunks)

    for (const { of, pieces, moved } of tellings) {
      for (const piece of pieces) of.settle(piece)
      for (const one of moved)
        if (of.isAt(one.at, one.from)) of.move(one.at, one.count, one.bytes, one.crc, places.get(one)!)
    }
    this.#mark.advance(frame)
    wal.release(oldest)
  }

  /** All that was issued, as it is now. What is issued from here on belongs to the next frame. */
  #take(carried: Carried | undefined): readonly Telling[] {
    for (const group of carried?.groups.keys() ?? []) if (this.groups.get(group.name) === group) this.#tell(group)
    const tellings: Telling[] = []
    for (const of of this.#destroyed) {
      of.forget()
      tellings.push({
        ...{ of, group: of.name, flags: destroyed, first: 1, last: 0 },
        ...{ state: undefined, pieces: [], moved: [] },
      })
    }
    for (const of of this.#dirty) {
      const { state, first, last } = of
      const tellsState = state !== undefined && (of.stateDirty || (carried !== undefined && of.stateIsIn(carried.from)))
      const moved = (carried?.groups.get(of) ?? []).filter(({ at, from }) => of.isAt(at, from))
      const flags = tellsState ? withState : 0
      tellings.push({ of, group: of.name, flags, first, last, state, pieces: of.takeFresh(), moved })
      of.untold(tellsState)
      of.dirty = of.stateDirty = false
    }
    this.#dirty = []
    this.#destroyed = []
    return tellings
  }

  /** The first segment that anybody needs besides the frame that is being made; undefined if nobody does. */
  #oldestNeeded(): number | undefined {
    return this.#wal.segments.all.find(({ needed }) => needed > 0)?.number
  }

  /** Used again for every frame; grown in powers of two. */
  #bufferOf(bytes: number): Buffer {
    if (this.#buffer.length < bytes) this.#buffer = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(bytes)))
    return this.#buffer.subarray(0, bytes)
  }
}
