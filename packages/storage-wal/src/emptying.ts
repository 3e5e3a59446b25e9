import type { GroupId } from '@raftkit/contract'
import type { Group } from './group.ts'
import type { PieceHead } from './layout.ts'
import { readPieces } from './pieces.ts'
import type { Segment, Segments } from './segment.ts'

/** Durable records that are written once more, so that the segment they stand in can go. */
export interface Moved extends PieceHead {
  readonly from: number
  readonly records: Uint8Array
}

/** What the next frame is to tell again: of these groups, with these records, and the states that stand in `from`. */
export interface Carried {
  readonly from: Segment
  readonly groups: ReadonlyMap<Group, readonly Moved[]>
}

/** What is carried with one frame. */
const carriedBytesMax = 262_144

/**
 * Empties the oldest segment when more of the log lies idle than is needed: groups that have not moved on for long do not pin it. It copies no more
 * than others have left behind, so the log grows to about twice what is needed, and each record is written about twice at most.
 */
export class Emptying {
  readonly #segments: Segments
  readonly #groups: ReadonlyMap<GroupId, Group>
  readonly #slack: number
  #segment: Segment | undefined
  /** Groups that need it, and have not been carried yet. */
  #left: Group[] = []

  /** `slack`: so many bytes may lie idle in any case. */
  constructor(segments: Segments, groups: ReadonlyMap<GroupId, Group>, slack: number) {
    this.#segments = segments
    this.#groups = groups
    this.#slack = slack
  }

  async next(): Promise<Carried | undefined> {
    const { oldest, newest, bytes, live } = this.#segments
    if (!oldest || oldest === newest || bytes - live <= live + this.#slack) return undefined
    if (this.#segment !== oldest) {
      this.#segment = oldest
      this.#left = [...this.#groups.values()].filter((group) => group.needs(oldest))
    }
    const groups = new Map<Group, Moved[]>()
    for (let carried = 0; carried < carriedBytesMax; ) {
      const group = this.#left.at(-1)
      if (!group) break
      const { moved, all } = await movable(group, oldest, this.#segments, carriedBytesMax - carried)
      if (all) this.#left.pop()
      groups.set(group, moved)
      carried += 128 + (group.state?.length ?? 0) + moved.reduce((sum, { bytes }) => sum + bytes, 0)
    }
    return groups.size > 0 ? { from: oldest, groups } : undefined
  }
}

/** Pieces of the group in this segment: about `most` bytes, at least one, and whether those are all. */
async function movable(
  group: Group,
  segment: Segment,
  segments: Segments,
  most: number,
): Promise<{ readonly moved: Moved[]; readonly all: boolean }> {
  const end = segment.base + segment.end
  const pieces: { at: number; count: number; bytes: number; crc: number; place: number }[] = []
  let all = true
  let sum = 0
  for (let i = 0; i < group.at.length; i++) {
    const place = group.place[i]!
    if (place < segment.base || place >= end) continue
    if (sum >= most) {
      all = false
      break
    }
    sum += group.bytes[i]!
    pieces.push({ at: group.at[i]!, count: group.count[i]!, bytes: group.bytes[i]!, crc: group.crc[i]!, place })
  }
  const moved: Moved[] = []
  let i = 0
  for await (const records of readPieces(segments, pieces)) {
    const { place, ...head } = pieces[i++]!
    // What is altered stays where it is, and its segment with it: its group will find out, and others are not concerned.
    if (records) moved.push({ ...head, from: place, records })
  }
  return { moved, all: all || moved.length === 0 }
}
