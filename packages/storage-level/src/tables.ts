import { readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32c } from './crc32c.ts'

/**
 * LevelDB does not check the checksums of its tables unless told to, which classic-level cannot, and a damaged one may end the process
 * by an assertion. So they are checked before LevelDB is opened. A table that is not whole is set aside: either a crash left it half
 * written, and nobody misses it, or LevelDB needs it, and says that it is gone.
 */
export async function setAsideBadTables(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.endsWith('.ldb')) continue
    const path = join(folder, name)
    if (!isWhole(await readFile(path))) await rename(path, path + aside)
  }
}

/** Once LevelDB has been opened without them, nobody misses them. */
export async function removeBadTables(folder: string): Promise<void> {
  for (const name of await readdir(folder)) if (name.endsWith(aside)) await rm(join(folder, name))
}

const aside = '.bad'
const footerBytes = 48
const trailerBytes = 5
const magic = Buffer.from('57fb808b247547db', 'hex')

/**
 * Whether every block of a table has its checksum (LevelDB, doc/table_format.md): data blocks, filter, metaindex and index one
 * behind the other, each followed by its type and a masked CRC-32C; the footer says where the last two are.
 */
function isWhole(table: Buffer): boolean {
  const end = table.length - footerBytes
  if (end < 0 || !table.subarray(-8).equals(magic)) return false
  try {
    const footer = new Varints(table.subarray(end, -8))
    const metaindex = footer.handle()
    const index = footer.handle()
    if (!hasChecksum(table, metaindex) || !hasChecksum(table, index)) return false
    // Compressed: written by another program, and not for us to judge.
    if (table[index.offset + index.size] !== 0 || table[metaindex.offset + metaindex.size] !== 0) return true
    // The padding of the footer is covered by no checksum; LevelDB writes zeros and reads none.
    let next = 0
    for (const parent of [index, metaindex]) {
      for (const block of entriesOf(table.subarray(parent.offset, parent.offset + parent.size))) {
        if (block.offset !== next || !hasChecksum(table, block)) return false
        next = block.offset + block.size + trailerBytes
      }
    }
    return next === metaindex.offset && index.offset === metaindex.offset + metaindex.size + trailerBytes
  } catch {
    return false
  }
}

interface Handle {
  readonly offset: number
  readonly size: number
}

function hasChecksum(table: Buffer, { offset, size }: Handle): boolean {
  if (offset + size + trailerBytes > table.length - footerBytes) return false
  const masked = table.readUInt32LE(offset + size + 1)
  const rotated = (masked - 0xa282ead8) >>> 0
  return ((rotated >>> 17) | (rotated << 15)) >>> 0 === crc32c(table.subarray(offset, offset + size + 1))
}

/** The handles that an index holds as its values. Its end is an array of u32 and its length. */
function* entriesOf(block: Buffer): Generator<Handle> {
  const restarts = block.readUInt32LE(block.length - 4)
  const entries = new Varints(block.subarray(0, block.length - 4 - 4 * restarts))
  while (!entries.atEnd) {
    entries.next()
    const suffix = entries.next()
    entries.next()
    entries.skip(suffix)
    yield entries.handle()
  }
}

class Varints {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  next(): number {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#bytes.readUInt8(this.#at++)
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }

  handle(): Handle {
    return { offset: this.next(), size: this.next() }
  }

  skip(count: number): void {
    this.#at += count
  }
}
