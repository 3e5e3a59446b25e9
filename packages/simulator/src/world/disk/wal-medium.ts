import type { GroupId, SnapshotStore, Storage } from '@raftkit/contract'
import { toFileName } from '@raftkit/files'
import { walStorage } from '@raftkit/storage-wal'
import type { Process } from '../process.ts'
import type { Blob } from './blobs.ts'
import type { LogContent } from './content.ts'
import type { Disk } from './disk.ts'
import { ExpectedLog } from './expected.ts'
import type { Content } from './files/content.ts'
import { Files } from './files/file-disk.ts'
import { Tree } from './files/tree.ts'
import { never } from './log.ts'
import type { Medium, Misdirected, Rot } from './medium.ts'
import { main } from './port-medium.ts'

const root = '/data'

/** The real write-ahead log on virtual files. */
export class WalMedium implements Medium {
  readonly #disk: Disk
  readonly #tree = new Tree()
  readonly #logs = new Map<GroupId, ExpectedLog>()
  readonly #blobs = new ExpectedBlobs((name) => this.#fileOf(name))
  #files: Files | undefined

  constructor(disk: Disk) {
    this.#disk = disk
  }

  get durable(): LogContent {
    return this.#log(main).durable
  }

  get issued(): LogContent {
    return this.#log(main).issued
  }

  get blobs(): ReadonlyMap<string, Blob> {
    return this.#blobs.complete
  }

  storage(process: Process): Storage {
    this.#files = new Files(this.#disk, this.#tree, process)
    const { segmentBytes } = this.#disk.wear
    const wal = walStorage(root, { disk: this.#files.port, segmentBytes })
    const living = <T>(work: () => Promise<T>): Promise<T> => (process.alive ? work() : never())
    return {
      contract: 1,
      durable: true,
      groups: () => living(() => wal.groups()),
      log: (group) => living(async () => this.#log(group).opened(await wal.log(group), process)),
      snapshots: (group) => living(async () => this.#blobs.watched(await wal.snapshots(group), process)),
      destroy: (group) =>
        living(async () => {
          await wal.destroy(group)
          this.#logs.delete(group)
        }),
      close: () => living(() => wal.close()),
    }
  }

  crash(power: boolean, lost: number): void {
    const { random } = this.#disk
    this.#files?.end(random)
    this.#files = undefined
    if (power) this.#tree.root.cutPower(random, lost)
    for (const log of this.#logs.values()) log.crash()
  }

  freed(): void {
    // The log tries again by itself.
  }

  rot(kind: Rot): boolean {
    const { random } = this.#disk
    const place = kind === 'blob' ? this.#blobPlace() : this.#find(kind === 'state' ? this.#state() : this.#record())
    if (!place) return false
    const { content, at, length } = place
    const position = at + random.below(length)
    content.overwrite(new Uint8Array([content.synced[position]! ^ (1 << random.below(8))]), position)
    return true
  }

  misdirect(kind: Misdirected): boolean {
    if (kind === 'blob') {
      const to = this.#blobPlace()
      const other = this.#blobPlace()
      const bytes = other && other.content !== to?.content ? other.content.synced.slice() : this.#blobs.freed
      if (!to || !bytes) return false
      to.content.replace(bytes)
      return true
    }
    const to = this.#find(this.#record())
    const from = this.#find(this.#record())
    if (!to || !from || (to.content === from.content && to.at === from.at)) return false
    const bytes = from.content.synced.slice(from.at, from.at + Math.min(from.length, to.length))
    to.content.overwrite(bytes, to.at)
    return true
  }

  #log(group: GroupId): ExpectedLog {
    let log = this.#logs.get(group)
    if (!log) {
      log = new ExpectedLog(this.#disk)
      this.#logs.set(group, log)
    }
    return log
  }

  #record(): Uint8Array | undefined {
    const { sealed } = this.#log(main)
    return sealed.length === 0 ? undefined : this.#disk.random.pick(sealed)
  }

  #state(): Uint8Array | undefined {
    return this.#log(main).sealedState
  }

  /** Where these bytes stand for good. */
  #find(bytes: Uint8Array | undefined): Place | undefined {
    if (!bytes || bytes.length === 0) return undefined
    for (const [, content] of this.#tree.files()) {
      const at = indexOf(content.synced, bytes)
      if (at >= 0) return { content, at, length: bytes.length }
    }
    return undefined
  }

  #blobPlace(): Place | undefined {
    const names = [...this.#blobs.complete.keys()]
    if (names.length === 0) return undefined
    const content = this.#fileOf(this.#disk.random.pick(names))
    return content && content.synced.length > 0 ? { content, at: 0, length: content.synced.length } : undefined
  }

  #fileOf(snapshot: string): Content | undefined {
    const name = `/${toFileName(snapshot)}.snapshot`
    for (const [path, content] of this.#tree.files()) if (path.endsWith(name)) return content
    return undefined
  }
}

const indexOf = ({ buffer, byteOffset, length }: Uint8Array, bytes: Uint8Array): number =>
  Buffer.from(buffer, byteOffset, length).indexOf(bytes)

interface Place {
  readonly content: Content
  readonly at: number
  readonly length: number
}

/** What was written of snapshots, so that those that must be there can be looked for without reading files. */
class ExpectedBlobs {
  readonly complete: Map<string, Blob> = new Map()
  /** The file of a snapshot that was there before: it lies about for what is misdirected. */
  freed: Uint8Array | undefined
  readonly #written = new Map<string, Uint8Array>()
  readonly #fileOf: (name: string) => Content | undefined

  constructor(fileOf: (name: string) => Content | undefined) {
    this.#fileOf = fileOf
  }

  watched(store: SnapshotStore, process: Process): SnapshotStore {
    const living = <T>(work: () => Promise<T>): Promise<T> => (process.alive ? work() : never())
    return {
      open: (name) =>
        living(async () => {
          const reader = await store.open(name)
          // It may have become complete in the instant in which a process ended.
          this.#completed(name, reader.bytes)
          return reader
        }),
      create: (name) =>
        living(async () => {
          const writer = await store.create(name)
          let held = (this.#written.get(name) ?? new Uint8Array(0)).slice(0, writer.bytes)
          return {
            get bytes() {
              return writer.bytes
            },
            write: (chunk) => {
              const more = new Uint8Array(held.length + chunk.length)
              more.set(held)
              more.set(chunk, held.length)
              held = more
              this.#written.set(name, held)
              return living(() => writer.write(chunk))
            },
            commit: () => living(() => writer.commit().then(() => this.#completed(name, held.length))),
            close: () => living(() => writer.close()),
          }
        }),
      retain: (names) =>
        living(() => {
          for (const name of [...this.complete.keys()].filter((each) => !names.includes(each))) {
            this.freed = this.#fileOf(name)?.synced.slice()
            this.complete.delete(name)
          }
          return store.retain(names)
        }),
    }
  }

  #completed(name: string, length: number): void {
    if (this.complete.has(name)) return
    const bytes = this.#written.get(name)?.slice(0, length) ?? new Uint8Array(0)
    this.complete.set(name, { name, bytes, complete: true })
    this.#written.delete(name)
  }
}
