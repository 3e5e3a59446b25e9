// @ts-check
// How far the journal was durable. Without it, an intact beginning of a damaged journal looks like what a crash leaves, and a vote that
// was given is given again. Two slots in turn, so that a torn write leaves one; written after each flush and not flushed itself, so it
// may be behind and is never ahead.
import { open, readFile } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { RaftkitError } from '@raftkit/contract'
import { replaceFile } from '@raftkit/files'

/** @typedef {{ generation: number, end: number, slot: number }} Place */

const slots = [0, 512]
const slotBytes = 16

export class Mark {
  #file
  #group
  #slot

  /** @param {import('node:fs/promises').FileHandle} file @param {string} group @param {number} slot */
  constructor(file, group, slot) {
    this.#file = file
    this.#group = group
    this.#slot = slot
  }

  /** What it says; undefined when there is none. @param {string} path @param {string} group @returns {Promise<Place | undefined>} */
  static async read(path, group) {
    const bytes = await readFile(path).catch((error) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
    if (!bytes) return undefined
    const told = slots.flatMap((at, slot) => {
      if (
        at + slotBytes > bytes.length ||
        bytes.readUInt32LE(at) !== checksum(bytes.subarray(at + 4, at + slotBytes), group)
      )
        return []
      return [{ generation: bytes.readUInt32LE(at + 4), end: bytes.readDoubleLE(at + 8), slot }]
    })
    const [one, two] = told
    if (!one)
      throw new RaftkitError(
        'DAMAGED',
        `group ${group}: the mark cannot be read; add this member again as a new incarnation`,
      )
    return two && (two.generation - one.generation || two.end - one.end) > 0 ? two : one
  }

  /** @param {string} path @param {string} group */
  static async create(path, group) {
    const place = { generation: 0, end: 0, slot: 0 }
    const bytes = Buffer.alloc(512 + slotBytes)
    for (const at of slots) bytes.set(encode(place, group), at)
    await replaceFile(path, bytes)
    return place
  }

  /** @param {string} path @param {Place} place @param {string} group */
  static async open(path, { slot }, group) {
    return new Mark(await open(path, 'r+'), group, slot)
  }

  /** @param {number} generation @param {number} end */
  async advance(generation, end) {
    this.#slot = 1 - this.#slot
    // A mark that cannot be written stays behind: then less is noticed, and nothing is claimed that is not so.
    await this.#file
      .write(encode({ generation, end }, this.#group), 0, slotBytes, slots[this.#slot])
      .catch(() => undefined)
  }

  close() {
    return this.#file.close()
  }
}

/** @param {{ generation: number, end: number }} place @param {string} group */
function encode({ generation, end }, group) {
  const bytes = Buffer.alloc(slotBytes)
  bytes.writeUInt32LE(generation, 4)
  bytes.writeDoubleLE(end, 8)
  bytes.writeUInt32LE(checksum(bytes.subarray(4), group), 0)
  return bytes
}

/** @param {Uint8Array} bytes @param {string} group */
const checksum = (bytes, group) => crc32(bytes, crc32(`mark ${group}`))
