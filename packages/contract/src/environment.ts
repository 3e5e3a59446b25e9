/** All that the runtime takes from the world around it. A simulator passes its own. */
export interface Environment {
  /** Milliseconds, monotonic, never adjusted; the origin is arbitrary. */
  now(): number
  /** Milliseconds since the epoch. Only stamps entries; no decision of the protocol rests on it. */
  wall(): number
  /** Runs once at `time` (of `now`) or later. Returns a function that cancels it. */
  at(time: number, run: () => void): () => void
  /** Runs in a later turn of the event loop, after the I/O that is ready now has been seen. */
  soon(run: () => void): void
  /** Fills with random bytes fit for identities. */
  random(into: Uint8Array): void
}
