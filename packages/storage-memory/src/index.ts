/** Storage in memory, for tests, demos and simulation. Runs anywhere: no module of a platform is imported. */
export { type MemoryOptions, memoryStorage } from './storage.ts'
