/** A write-ahead log as a storage: every flush one frame of all groups, every write durable, atomic and checked. */
export { type InspectOptions, inspectWal, type WalFlush, type WalReport, type WalSegment } from './inspect.ts'
export { type WalOptions, walStorage } from './storage.ts'
