/** A server's own clocks, made from the world's time. They go on while the process is down. */
export class Clock {
  #worldAt = 0
  #localAt: number
  #rate = 1
  #wall = 1_700_000_000_000

  /** `offset`: what the monotonic clock shows at the world's beginning. */
  constructor(offset: number) {
    this.#localAt = offset
  }

  /** How fast the monotonic clock goes; 1 is true. */
  get rate(): number {
    return this.#rate
  }

  now(world: number): number {
    return this.#localAt + (world - this.#worldAt) * this.#rate
  }

  wall(world: number): number {
    return Math.floor(this.#wall + world)
  }

  /** When, in the world's time, the monotonic clock will show `local`. */
  worldAt(local: number): number {
    return this.#worldAt + (local - this.#localAt) / this.#rate
  }

  /** From `world` on, the monotonic clock goes at `rate`. */
  drift(rate: number, world: number): void {
    this.#localAt = this.now(world)
    this.#worldAt = world
    this.#rate = rate
  }

  /** Somebody sets the wall clock; no decision of the protocol may rest on it. */
  jumpWall(milliseconds: number): void {
    this.#wall += milliseconds
  }
}
