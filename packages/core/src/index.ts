/** The Raft protocol as a pure, synchronous machine: give it events, take its effects. */
export { describe } from './describe.ts'
export type { Message } from './messages.ts'
export { raft } from './opening.ts'
export { fixedMajority } from './quorum.ts'
export { Raft } from './raft.ts'
