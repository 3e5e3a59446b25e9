/** The largest buffer that was asked for since it was last forgotten. */
export interface Allocations {
  largest: number
}

/**
 * Sees every buffer that is asked for by its size in this thread. What is made of given bytes (`from`, `concat`, `slice`) is as large as those, and not seen.
 */
export function watchAllocations(): Allocations {
  const seen: Allocations = { largest: 0 }
  const note = (size: unknown): void => {
    if (typeof size === 'number' && size > seen.largest) seen.largest = size
  }
  const watched = <T extends object>(made: T, bytes: number): T => {
    const proxy: T = new Proxy(made, {
      construct(target, [first, ...rest], newTarget) {
        if (typeof first === 'number') note(first * bytes)
        return Reflect.construct(target as never, [first, ...rest], newTarget === proxy ? (target as never) : newTarget)
      },
    })
    return proxy
  }
  const world = globalThis as unknown as Record<string, object>
  for (const [name, bytes] of [
    ['Uint8Array', 1],
    ['ArrayBuffer', 1],
    ['Uint16Array', 2],
    ['Uint32Array', 4],
    ['Int32Array', 4],
    ['Float64Array', 8],
    ['Array', 8],
  ] as const)
    world[name] = watched(world[name]!, bytes)
  for (const name of ['alloc', 'allocUnsafe', 'allocUnsafeSlow'] as const) {
    const make = Buffer[name] as (size: number, ...rest: never[]) => Buffer
    Object.defineProperty(Buffer, name, {
      value: (size: number, ...rest: never[]) => {
        note(size)
        return make.call(Buffer, size, ...rest)
      },
    })
  }
  return seen
}
