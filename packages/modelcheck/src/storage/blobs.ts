import { hash128, toHex, Writer } from '@raftkit/bytes'
import { isRaftkitError, type SnapshotStore, type SnapshotWriter } from '@raftkit/contract'
import { type FileSnapshots, fileSnapshots } from '@raftkit/files'
import type { Exploration, ExploreOptions } from '../explore/explore.ts'
import { Violation } from '../explore/model.ts'
import { afterPowerCut, blank, Disk, type Image, mountPoint } from './disk.ts'

/** One call of a snapshot store, as the port has them. */
interface Call {
  readonly type: 'create' | 'write' | 'commit' | 'close' | 'retain'
  readonly name: 'a' | 'b'
}

/** A full block and a little more; less than a block. */
const contents = { a: bytes(65_546), b: bytes(30) } as const
const directory = `${mountPoint}/snapshots`

/**
 * Every sequence of at most `calls` calls to the store of packages/files, with a power cut after every file operation of the last call, and
 * every outcome of that cut: what is there afterwards is what the port promises.
 */
export async function exploreBlobs(
  calls: number,
  options: ExploreOptions = {},
  disk: Disk = new Disk(),
): Promise<Exploration> {
  const seen = new Set<string>()
  let transitions = 0
  let looked = 0
  let longest = 0
  const figures = (exhausted: boolean): Exploration => ({
    distinctStates: seen.size,
    transitions,
    depth: longest,
    deepest: longest,
    exhausted,
  })
  const waiting: (readonly Call[])[] = [[]]
  for (let sequence = waiting.shift(); sequence !== undefined; sequence = waiting.shift()) {
    longest = sequence.length
    if ((looked++ & 0x1f) === 0) {
      options.progress?.({ ...figures(false), waiting: waiting.length })
      if (options.isOver?.() === true || seen.size >= (options.states ?? Number.POSITIVE_INFINITY))
        return figures(false)
    }
    const { cuts, next } = await performed(disk, sequence)
    for (const [at, { image, committed }] of cuts.entries()) {
      for (const outcome of afterPowerCut(image)) {
        transitions++
        const key = keyOf(outcome, committed)
        if (seen.has(key)) continue
        seen.add(key)
        try {
          await checkAfter(disk, outcome, committed)
        } catch (error) {
          if (!(error instanceof Violation)) throw error
          const steps = [
            ...sequence.map(show),
            at === cuts.length - 1
              ? 'the power fails'
              : `the power fails after file operation ${at + 1} of the last call`,
          ]
          return { ...figures(false), violation: { invariant: error.invariant, what: error.message, steps } }
        }
      }
    }
    if (sequence.length < calls) for (const call of next) waiting.push([...sequence, call])
  }
  return figures(true)
}

interface Cut {
  readonly image: Image
  /** Which blobs must survive it. */
  readonly committed: ReadonlySet<'a' | 'b'>
}

/** Makes the calls; what the disk held after each file operation of the last one and when it was done, and which calls may follow. */
async function performed(disk: Disk, sequence: readonly Call[]): Promise<{ cuts: Cut[]; next: Call[] }> {
  disk.mount(blank)
  const store = await fileSnapshots(directory, { disk })
  const writers = new Map<string, SnapshotWriter>()
  const complete = new Set<'a' | 'b'>()
  const cuts: Cut[] = []
  for (const [at, { type, name }] of sequence.entries()) {
    const isLast = at === sequence.length - 1
    if (type === 'retain') for (const other of complete) if (other !== name) complete.delete(other)
    const committed = new Set(complete)
    disk.changed = isLast ? () => cuts.push({ image: disk.image, committed }) : () => {}
    const writer = writers.get(name)
    switch (type) {
      case 'create':
        writers.set(name, await store.create(name))
        break
      case 'write': {
        const rest = contents[name].subarray(writer!.bytes)
        await writer!.write(rest.subarray(0, Math.ceil(contents[name].length / 2)))
        break
      }
      case 'commit':
        await writer!.commit()
        writers.delete(name)
        complete.add(name)
        break
      case 'close':
        await writer!.close()
        writers.delete(name)
        break
      case 'retain':
        await store.retain([name])
    }
  }
  // What the last call promised holds as soon as it is done.
  cuts.push({ image: disk.image, committed: complete })
  disk.changed = () => {}
  const next = (['a', 'b'] as const).flatMap((name): Call[] => {
    const writer = writers.get(name)
    const calls: Call[] = [{ type: 'retain', name }]
    if (writer === undefined) {
      if (!complete.has(name)) calls.push({ type: 'create', name })
    } else {
      calls.push({ type: 'close', name })
      if (writer.bytes < contents[name].length) calls.push({ type: 'write', name })
      else calls.push({ type: 'commit', name })
    }
    return calls
  })
  return { cuts, next }
}

/** A new process opens what the power cut has left. */
async function checkAfter(disk: Disk, outcome: Image, committed: ReadonlySet<'a' | 'b'>): Promise<void> {
  disk.mount(outcome)
  const store = await fileSnapshots(directory, { disk })
  for (const name of ['a', 'b'] as const) {
    const held = await contentOf(store, name)
    if (held === undefined) {
      if (committed.has(name))
        throw new Violation('committed is durable', `the snapshot ${name} was committed, and is gone`)
      await finish(store, name)
    } else if (!equal(held, contents[name])) {
      throw new Violation('complete is whole', `the snapshot ${name} opens, and holds something else`)
    }
  }
  await store.close()
}

async function contentOf(store: SnapshotStore, name: string): Promise<Uint8Array | undefined> {
  try {
    const reader = await store.open(name)
    const parts: number[] = []
    for (let offset = 0; offset < reader.bytes; ) {
      const part = await reader.read(offset, 1 << 20)
      for (const byte of part) parts.push(byte)
      offset += part.length
    }
    await reader.close()
    return Uint8Array.from(parts)
  } catch (error) {
    if (isRaftkitError(error, 'MISSING')) return undefined
    throw new Violation('complete is whole', `the snapshot ${name} cannot be read: ${(error as Error).message}`)
  }
}

/** Goes on with what is there of it, which must be a beginning of it. */
async function finish(store: FileSnapshots, name: 'a' | 'b'): Promise<void> {
  try {
    const writer = await store.create(name)
    await writer.write(contents[name].subarray(writer.bytes))
    await writer.commit()
  } catch (error) {
    throw new Violation('unfinished goes on', `the snapshot ${name} cannot be finished: ${(error as Error).message}`)
  }
  const held = await contentOf(store, name)
  if (held === undefined || !equal(held, contents[name]))
    throw new Violation('unfinished goes on', `the snapshot ${name}, finished after the crash, holds something else`)
}

function keyOf({ folders, files }: Image, committed: ReadonlySet<string>): string {
  const writer = new Writer(256).text([...committed].sort().join())
  for (const [path, { durable }] of folders) {
    writer.text(path)
    for (const [name, id] of [...durable].sort(([a], [b]) => (a < b ? -1 : 1))) {
      writer.text(name)
      if (id !== 0) writer.raw(hashOf(files.get(id)!.durable))
    }
  }
  return toHex(hash128(writer.finish()))
}

const hashes = new WeakMap<Uint8Array, Uint8Array>()

function hashOf(content: Uint8Array): Uint8Array {
  let hash = hashes.get(content)
  if (hash === undefined) {
    hash = hash128(content)
    hashes.set(content, hash)
  }
  return hash
}

function bytes(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at * 7 + (at >> 8)) & 255)
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0
}

const show = ({ type, name }: Call): string => `${type} ${name}`
