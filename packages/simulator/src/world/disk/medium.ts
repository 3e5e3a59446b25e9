import type { Storage } from '@raftkit/contract'
import type { Process } from '../process.ts'
import type { Blob } from './blobs.ts'
import type { LogContent } from './content.ts'

/** What is written on a disk, and how: by a storage that is simulated itself (`PortMedium`), or by a real one on simulated files (`WalMedium`). */
export interface Medium {
  /** What a crash now would leave at the least. */
  readonly durable: LogContent
  /** What was written so far, as the process itself sees it. */
  readonly issued: LogContent
  readonly blobs: ReadonlyMap<string, Blob>
  storage(process: Process): Storage
  /** The process is gone, or `power` is; each thing that is not durable is lost with the chance `lost`. */
  crash(power: boolean, lost: number): void
  /** There is room again. */
  freed(process: Process): void
  /** One bit of something at rest turns. False: there is nothing of that kind. */
  rot(kind: Rot): boolean
  /** Something was written where something else belongs. False: there is nothing of that kind. */
  misdirect(kind: Misdirected): boolean
}

export type Rot = 'record' | 'blob' | 'state'
export type Misdirected = 'record' | 'blob'
