/** How a disk behaves. Times are milliseconds, drawn between the two. */
export interface Wear {
  /** One flush; writes that wait together share it. */
  readonly flush: readonly [number, number]
  /** One read, of log or blob. */
  readonly read: readonly [number, number]
  /** Chance that a flush takes `slowness` times as long. */
  readonly slow: number
  readonly slowness: number
  readonly bytesPerMs: number
  /** Chance that a flush fails (EIO): the writes of it are rejected, and all that follow. */
  readonly error: number
  /** Chance that the adapter's own checksums find rot, so that it rejects `DAMAGED`; otherwise the protocol has to. */
  readonly detects: number
  /** Chance, at a crash, that each unflushed write is lost with all that follow. */
  readonly lost: number
  /** Of the write-ahead log, where the disk carries one. */
  readonly segmentBytes: number
}

export const goodDisk: Wear = {
  flush: [0.2, 2],
  read: [0.05, 0.5],
  slow: 0,
  slowness: 10,
  bytesPerMs: 500_000,
  error: 0,
  detects: 0.5,
  lost: 0.5,
  segmentBytes: 65_536,
}
