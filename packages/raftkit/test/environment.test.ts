import { describe, expect, test } from 'vitest'
import { platformEnvironment, randomHex } from '../src/environment.ts'

describe('the environment of the platform', () => {
  const environment = platformEnvironment()

  test('never runs a timer early', async () => {
    for (const wait of [0, 0.4, 1.5, 3.2]) {
      const time = environment.now() + wait
      await new Promise<void>((resolve) => void environment.at(time, resolve))
      expect(environment.now()).toBeGreaterThanOrEqual(time)
    }
  })

  test('does not run what was cancelled, and takes times beyond the range of platform timers', async () => {
    let ran = 0
    const cancel = environment.at(environment.now() + 1, () => ran++)
    cancel()
    const far = environment.at(environment.now() + 2 ** 40, () => ran++)
    await new Promise<void>((resolve) => void environment.at(environment.now() + 5, resolve))
    far()
    expect(ran).toBe(0)
  })

  test('runs soon in a later turn', async () => {
    const order: string[] = []
    await new Promise<void>((resolve) => {
      environment.soon(() => {
        order.push('soon')
        resolve()
      })
      order.push('now')
      void Promise.resolve().then(() => order.push('promise'))
    })
    expect(order).toEqual(['now', 'promise', 'soon'])
  })

  test('draws identities that differ', () => {
    const drawn = new Set(Array.from({ length: 100 }, () => randomHex(environment, 16)))
    expect(drawn.size).toBe(100)
    for (const text of drawn) expect(text).toMatch(/^[0-9a-f]{32}$/)
  })
})
