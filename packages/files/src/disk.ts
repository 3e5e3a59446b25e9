import type { FolderLock } from './lock.ts'

/**
 * What storage needs of a machine, and all of it: locks, snapshots and logs reach the disk through this and nothing else, so that another
 * one (a simulated disk, one that fails) can be put underneath. `nodeDisk` is the real one.
 *
 * Every promise says what a **power cut** leaves. What is *unsynced* may be there afterwards, or not, or in part, each operation for itself and in
 * any order; a disk that always keeps some order promises more than anybody here relies on. The end of a process takes nothing.
 *
 * Calls reject with the system's error, recognised by its `code`: `ENOENT`, `EEXIST`, `EISDIR`, `ENOSPC`, `EDQUOT`, `EIO`, … Paths are absolute or
 * relative to the process, as Node has them.
 */
export interface Disk {
  /** Holds the folder, made if it is missing, against every other owner. Rejects `LOCKED` (a `RaftkitError`). */
  lock(directory: string): Promise<FolderLock>
  /** The folder and those above it are there, durably. */
  createDirectory(directory: string): Promise<void>
  /** Names in a folder, files and folders, in any order; none if the folder is missing. */
  list(directory: string): Promise<readonly string[]>
  /**
   * Opens a file. `read`: rejects `ENOENT` if it is missing. `write`: made empty if it is missing; its name is unsynced then, until `syncDirectory` of
   * its folder. `through`: as `write`, and every `write` to it is synced when it resolves. An open file keeps its content when its name goes.
   */
  open(path: string, how: 'read' | 'write' | 'through'): Promise<DiskFile>
  /** In the same folder; replaces what has that name. Unsynced until `syncDirectory`; never neither of the two, nor half of it. */
  rename(from: string, to: string): Promise<void>
  /** A file, or a folder with all that is in it, name by name. Nothing there: does nothing. Unsynced until `syncDirectory` of the folder above. */
  remove(path: string): Promise<void>
  /** Makes all names that were made, changed and removed in the folder before the call durable (not what the files hold). */
  syncDirectory(directory: string): Promise<void>
  /** Resolves after so many milliseconds, or at once when the signal aborts: before a full disk is tried again. */
  pause(milliseconds: number, signal: AbortSignal): Promise<void>
  /** Fills with bytes that never come again. */
  random(into: Uint8Array): void
}

export interface DiskFile {
  size(): Promise<number>
  /** Fills `into` from `position` on; resolves with how many bytes, fewer only at the end of the file. */
  read(into: Uint8Array, position: number): Promise<number>
  /**
   * Writes the parts one behind the other, all of them; the file grows as needed, with zeros before `position`. Unsynced: each sector of 512 bytes
   * may hold what was there before, whatever the order, and the file may have grown without holding the bytes (zeros). After `ENOSPC` or
   * `EDQUOT` any part of it may be written; the same call may be made again. After any other error nothing is known.
   */
  write(parts: readonly Uint8Array[], position: number): Promise<void>
  /** Shorter, or longer by zeros. Unsynced: it may not have happened, alone or beside writes after it. */
  truncate(size: number): Promise<void>
  /** Makes all writes and truncations before the call durable (not the file's name). Once rejected, nothing about them is known, and no later call tells. */
  sync(): Promise<void>
  /** Syncs nothing. */
  close(): Promise<void>
}
