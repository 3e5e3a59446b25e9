/** What disk adapters share: durable files and folders, snapshot files, a folder's lock, safe file names. */
export type { Disk, DiskFile } from './disk.ts'
export { createDirectory, replaceFile, syncDirectory } from './durable.ts'
export { type FolderLock, folderHolder, lockFolder } from './lock.ts'
export { fromFileName, toFileName } from './names.ts'
export { nodeDisk } from './node-disk.ts'
export { type FileSnapshots, fileSnapshots } from './snapshots.ts'
