/** Frames between nodes of one process, over a network whose faults can be switched. */
export type { Filter, Verdict, Weather } from './faults.ts'
export { type MemoryNetwork, type MemoryNetworkOptions, memoryNetwork } from './network.ts'
export type { Scheduler } from './scheduler.ts'
