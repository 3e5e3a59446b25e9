import { basename, dirname } from 'node:path'
import type { Disk, DiskFile, FolderLock } from '@raftkit/files'

/** A disk in memory that loses nothing: its files are what somebody else left there. */
export class MemoryDisk implements Disk {
  readonly files = new Map<string, Uint8Array>()
  #random = 1

  async lock(): Promise<FolderLock> {
    return { release: async () => {} }
  }

  async createDirectory(): Promise<void> {}

  async list(directory: string): Promise<readonly string[]> {
    const names = new Set<string>()
    for (const path of this.files.keys())
      if (path.startsWith(`${directory}/`)) names.add(path.slice(directory.length + 1).split('/')[0]!)
    return [...names]
  }

  async open(path: string, how: 'read' | 'write' | 'through'): Promise<DiskFile> {
    if (!this.files.has(path)) {
      if (how === 'read') throw Object.assign(new Error(`no ${basename(path)} in ${dirname(path)}`), { code: 'ENOENT' })
      this.files.set(path, new Uint8Array(0))
    }
    const { files } = this
    const now = (): Uint8Array => files.get(path) ?? new Uint8Array(0)
    return {
      size: async () => now().length,
      read: async (into, position) => {
        const part = now().subarray(position, position + into.length)
        into.set(part)
        return part.length
      },
      write: async (parts, position) => {
        const bytes = Buffer.concat(parts)
        const all = new Uint8Array(Math.max(now().length, position + bytes.length))
        all.set(now())
        all.set(bytes, position)
        files.set(path, all)
      },
      truncate: async (size) => {
        const all = new Uint8Array(size)
        all.set(now().subarray(0, size))
        files.set(path, all)
      },
      sync: async () => {},
      close: async () => {},
    }
  }

  async rename(from: string, to: string): Promise<void> {
    const bytes = this.files.get(from)
    if (bytes) this.files.set(to, bytes)
    this.files.delete(from)
  }

  async remove(path: string): Promise<void> {
    for (const name of [...this.files.keys()]) if (name === path || name.startsWith(`${path}/`)) this.files.delete(name)
  }

  async syncDirectory(): Promise<void> {}

  async pause(_milliseconds: number, signal: AbortSignal): Promise<void> {
    if (!signal.aborted)
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  }

  random(into: Uint8Array): void {
    for (let i = 0; i < into.length; i++) into[i] = this.#random++
  }
}
