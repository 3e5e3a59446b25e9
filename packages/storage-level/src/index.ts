/** LevelDB as a storage: every write durable, atomic and checked. */
export { type LevelOptions, levelStorage } from './storage.ts'
