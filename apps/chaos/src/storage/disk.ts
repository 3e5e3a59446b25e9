/**
 * What a disk does beside working. `slow`: every flush takes so many milliseconds more. `stuck`: no flush ends. `full`: as `stuck`, for
 * writes that find no room. `failing`: the next flush fails, `before` anything was written or `after` all of it was.
 */
export type DiskFault =
  | { readonly kind: 'none' | 'stuck' | 'full' }
  | { readonly kind: 'slow'; readonly milliseconds: number }
  | { readonly kind: 'failing'; readonly when: 'before' | 'after' }

export const healthy: DiskFault = { kind: 'none' }

/** The faults of one member's disk. They can change at any time. */
export class Disk {
  #fault: DiskFault = healthy
  #changed: (() => void)[] = []

  get fault(): DiskFault {
    return this.#fault
  }

  set fault(fault: DiskFault) {
    this.#fault = fault
    for (const wake of this.#changed.splice(0)) wake()
  }

  get works(): boolean {
    return this.#fault.kind === 'none'
  }

  /** Resolves when the disk gets around to what waits for it; at once once `given up`. */
  async turn(givenUp: AbortSignal): Promise<void> {
    while (!givenUp.aborted && (this.#fault.kind === 'stuck' || this.#fault.kind === 'full'))
      await this.#change(givenUp)
    if (this.#fault.kind === 'slow' && !givenUp.aborted) await this.#change(givenUp, this.#fault.milliseconds)
  }

  /** A flush that hangs keeps its process alive, as a system call does: hence a timer in any case. */
  #change(givenUp: AbortSignal, atMost = 2 ** 31 - 1): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer)
        givenUp.removeEventListener('abort', wake)
        resolve()
      }
      const timer = setTimeout(wake, atMost)
      this.#changed.push(wake)
      givenUp.addEventListener('abort', wake)
    })
  }
}
