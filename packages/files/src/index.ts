/** What disk adapters share: durable files and folders, snapshot files, a folder's lock, safe file names. */
export { createDirectory, replaceFile, syncDirectory } from './durable.ts'
export { type FolderLock, lockFolder } from './lock.ts'
export { fromFileName, toFileName } from './names.ts'
export { type FileSnapshots, fileSnapshots } from './snapshots.ts'
