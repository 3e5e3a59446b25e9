/** Suites that any storage, snapshot store, transport or state machine must pass; the test functions are injected. */

export type { MachineSubject } from './machine/subject.ts'
export { machineCompliance } from './machine/suite.ts'
export type { Runner } from './runner.ts'
export { snapshotCompliance } from './snapshots/suite.ts'
export { recorded } from './storage/calls.ts'
export { type Loss, RecordedDisk } from './storage/disk.ts'
export { straceMissing } from './storage/strace.ts'
export type { SmallDisk, StorageSubject } from './storage/subject.ts'
export { storageCompliance } from './storage/suite.ts'
export type { TransportSubject, Wire } from './transport/subject.ts'
export { transportCompliance } from './transport/suite.ts'
export { tcpWire } from './transport/wire.ts'
