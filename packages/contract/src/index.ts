/**
 * The ports of Raftkit, and the words everyone shares. Types and errors only; no dependency.
 * An adapter needs this package and nothing else of Raftkit.
 */
export * from './environment.ts'
export * from './errors.ts'
export * from './machine.ts'
export * from './membership.ts'
export * from './protocol.ts'
export * from './signatures.ts'
export * from './storage.ts'
export * from './transport.ts'
export * from './words.ts'
