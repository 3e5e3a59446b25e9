import { hash128, toHex, Writer } from '@raftkit/bytes'
import type { LogStore, LogWrite, Storage } from '@raftkit/contract'
import { walStorage } from '@raftkit/storage-wal'
import type { Exploration, ExploreOptions } from '../explore/explore.ts'
import { Violation } from '../explore/model.ts'
import { afterPowerCut, blank, Disk, type Image, mountPoint } from './disk.ts'

const directory = `${mountPoint}/n1`
/** The smallest; a large record fills half of one, so that segments are begun, let go and written over. */
const segmentBytes = 65_536
const recordBytes = { a: 33_000, b: 40 } as const
type Group = keyof typeof recordBytes
const groups = ['a', 'b'] as const

const calls = [
  'a appends',
  'a cuts and appends',
  'a compacts',
  'a is reset',
  'b appends',
  'b says its state',
  'b is destroyed',
  'both append',
  'restart',
] as const
type Call = (typeof calls)[number]

/** What a group's log is. */
interface Content {
  readonly first: number
  /** Which call brought each record from `first` on. */
  readonly records: readonly number[]
  readonly state: string
}

type Contents = Readonly<Record<Group, Content>>

const nothing: Content = { first: 1, records: [], state: '' }

/**
 * Every sequence of at most `most` calls to the write-ahead log of packages/storage-wal, two groups on it, with a power cut after every file
 * operation of the last call, and every outcome of that cut: the log opens, holds what the calls had made of it before or after the last one, and
 * goes on.
 */
export async function exploreLog(
  most: number,
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
    const { cuts, before, after } = await performed(disk, sequence)
    for (const [at, image] of cuts.entries()) {
      const isDone = at === cuts.length - 1
      for (const outcome of afterPowerCut(image)) {
        transitions++
        const allowed = isDone ? [after] : [before, after]
        const key = keyOf(outcome, allowed)
        if (seen.has(key)) continue
        seen.add(key)
        try {
          await checkAfter(disk, outcome, allowed)
        } catch (error) {
          if (!(error instanceof Violation)) throw error
          const cut = isDone ? 'the power fails' : `the power fails after file operation ${at + 1} of the last call`
          return {
            ...figures(false),
            violation: { invariant: error.invariant, what: error.message, steps: [...sequence, cut] },
          }
        }
      }
    }
    if (sequence.length < most) for (const call of calls) waiting.push([...sequence, call])
  }
  return figures(true)
}

class Member {
  readonly #disk: Disk
  #storage: Storage
  #logs = new Map<Group, LogStore>()

  constructor(disk: Disk) {
    this.#disk = disk
    this.#storage = walStorage(directory, { disk, segmentBytes })
  }

  async log(group: Group): Promise<LogStore> {
    const log = this.#logs.get(group) ?? (await this.#storage.log(group))
    this.#logs.set(group, log)
    return log
  }

  async write(group: Group, change: LogWrite): Promise<void> {
    await (await this.log(group)).write(change)
  }

  async destroy(group: Group): Promise<void> {
    await this.#logs.get(group)?.close()
    this.#logs.delete(group)
    await this.#storage.destroy(group)
  }

  close(): Promise<void> {
    return this.#storage.close()
  }

  async restart(): Promise<void> {
    await this.close()
    this.#logs.clear()
    this.#storage = walStorage(directory, { disk: this.#disk, segmentBytes })
    for (const group of groups) await this.log(group)
  }
}

/** Makes the calls; what the disk held after each file operation of the last one and when it was done, and what the logs were before and after it. */
async function performed(
  disk: Disk,
  sequence: readonly Call[],
): Promise<{ cuts: Image[]; before: Contents; after: Contents }> {
  disk.mount(blank)
  const member = new Member(disk)
  const cuts: Image[] = []
  let before: Contents = { a: nothing, b: nothing }
  let after = before
  for (const [i, call] of sequence.entries()) {
    before = after
    after = told(before, call, i)
    disk.changed = i === sequence.length - 1 ? () => cuts.push(disk.image) : () => {}
    await perform(member, call, before, i)
  }
  cuts.push(disk.image)
  disk.changed = () => {}
  await member.close()
  return { cuts, before, after }
}

const lastOf = ({ first, records }: Content): number => first + records.length - 1

async function perform(member: Member, call: Call, { a, b }: Contents, version: number): Promise<void> {
  const append = (group: Group, at: number): LogWrite => ({ tail: { at, run: run(group, at, version) } })
  switch (call) {
    case 'a appends':
      return member.write('a', append('a', lastOf(a) + 1))
    case 'a cuts and appends':
      return member.write('a', append('a', Math.max(a.first, lastOf(a))))
    case 'a compacts':
      return member.write('a', { compactTo: Math.max(0, lastOf(a)) })
    case 'a is reset':
      return member.write('a', { tail: { at: lastOf(a) + 5, run: run('a', lastOf(a) + 5, version), reset: true } })
    case 'b appends':
      return member.write('b', append('b', lastOf(b) + 1))
    case 'b says its state':
      return member.write('b', { state: Buffer.from(`said ${version}`) })
    case 'b is destroyed':
      return member.destroy('b')
    case 'both append':
      await Promise.all([
        member.write('a', append('a', lastOf(a) + 1)),
        member.write('b', { ...append('b', lastOf(b) + 1), state: Buffer.from(`said ${version}`) }),
      ])
      return
    case 'restart':
      return member.restart()
  }
}

/** What the call makes of the logs. */
function told({ a, b }: Contents, call: Call, version: number): Contents {
  const appended = (content: Content): Content => ({ ...content, records: [...content.records, version] })
  switch (call) {
    case 'a appends':
      return { a: appended(a), b }
    case 'a cuts and appends':
      return { a: appended({ ...a, records: a.records.slice(0, -1) }), b }
    case 'a compacts':
      return { a: { ...a, first: lastOf(a) + 1, records: [] }, b }
    case 'a is reset':
      return { a: { ...a, first: lastOf(a) + 5, records: [version] }, b }
    case 'b appends':
      return { a, b: appended(b) }
    case 'b says its state':
      return { a, b: { ...b, state: `said ${version}` } }
    case 'b is destroyed':
      return { a, b: nothing }
    case 'both append':
      return { a: appended(a), b: { ...appended(b), state: `said ${version}` } }
    case 'restart':
      return { a, b }
  }
}

/** A record says whose it is, where it belongs, and which call brought it. */
function run(group: Group, at: number, version: number): { count: number; bytes: Uint8Array } {
  const bytes = new Uint8Array(recordBytes[group]).fill(at * 16 + version + 1)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, bytes.length, true)
  view.setUint32(4, at, true)
  view.setUint32(8, version, true)
  bytes[12] = group.charCodeAt(0)
  return { count: 1, bytes }
}

/** A new process opens what the power cut has left, and goes on. */
async function checkAfter(disk: Disk, outcome: Image, allowed: readonly Contents[]): Promise<void> {
  disk.mount(outcome)
  let member = new Member(disk)
  const held = await contentsOf(member, 'a prefix is found')
  // What is promised is promised of each log for itself.
  for (const group of groups) {
    const written = allowed.map((contents) => showOne(contents, group))
    const found = showOne(held, group)
    if (!written.includes(found))
      throw new Violation('a prefix is found', `the log holds ${found} where ${written.join(' or ')} was written`)
  }
  try {
    await perform(member, 'both append', held, 99)
    await member.close()
  } catch (error) {
    throw new Violation('it goes on', `a write after the crash fails: ${(error as Error).message}`)
  }
  member = new Member(disk)
  const then = show(await contentsOf(member, 'it goes on'))
  await member.close()
  const expected = show(told(held, 'both append', 99))
  if (then !== expected)
    throw new Violation('it goes on', `after the crash and a write, ${then} is found, not ${expected}`)
}

async function contentsOf(member: Member, invariant: string): Promise<Contents> {
  const found: Partial<Record<Group, Content>> = {}
  for (const group of groups)
    try {
      const log = await member.log(group)
      const { first, last, state = new Uint8Array() } = log.found
      const records: number[] = []
      for (let at = first; at <= last; at++) {
        const { bytes } = await log.read(at, at, 1)
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
        const version = view.getUint32(8, true)
        if (Buffer.compare(bytes, run(group, at, version).bytes) !== 0)
          throw new Error(`record ${at} of ${group} is not as it was written`)
        records.push(version)
      }
      found[group] = { first, records, state: Buffer.from(state).toString() }
    } catch (error) {
      throw new Violation(invariant, `group ${group} cannot be read: ${(error as Error).message}`)
    }
  return found as Contents
}

const showOne = (contents: Contents, group: Group): string =>
  `${group}: ${contents[group].records.join(',')} from ${contents[group].first} (${contents[group].state})`

const show = (contents: Contents): string => groups.map((group) => showOne(contents, group)).join('; ')

function keyOf({ folders, files }: Image, allowed: readonly Contents[]): string {
  const writer = new Writer(256).text(allowed.map(show).join())
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
