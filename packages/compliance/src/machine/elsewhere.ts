/**
 * Runs on a replica of another place: its clocks show another time, its dice fall otherwise. All that a machine may know of the world
 * is in its commands.
 */
export async function elsewhere<T>(run: () => Promise<T>): Promise<T> {
  const { Date: date, Math: math, performance: clock } = globalThis
  const { random } = math
  const { now } = clock
  const away = 1234 * 86_400_000 + 5_432_101
  const later = () => date.now() + away
  globalThis.Date = new Proxy(date, {
    construct: (target, given) => Reflect.construct(target, given.length === 0 ? [later()] : given),
    apply: (target) => new target(later()).toString(),
    get: (target, key) => (key === 'now' ? later : Reflect.get(target, key)),
  })
  math.random = () => 1 - random()
  clock.now = () => now.call(clock) + away
  try {
    return await run()
  } finally {
    globalThis.Date = date
    math.random = random
    clock.now = now
  }
}
