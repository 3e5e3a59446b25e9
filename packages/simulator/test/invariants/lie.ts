import { expect, test } from 'vitest'
import type { Judge } from '../../src/invariants/invariant.ts'
import { breaks, Scene } from './scene.ts'

/** Invariants that some test here saw fire. */
export const fired: Set<string> = new Set<string>()

/** One lie, told in an otherwise healthy cluster that only this invariant watches. */
export function lie(make: () => Judge, what: string, tell: (scene: Scene) => void): void {
  const { name } = make()
  test(`${name}: ${what}`, async () => {
    const scene = await Scene.with(make())
    breaks(name, () => tell(scene))
    fired.add(name)
  })
}

/** What looks like a lie, and is none. */
export function truth(make: () => Judge, what: string, tell: (scene: Scene) => void): void {
  const { name } = make()
  test(`${name}: ${what}, and breaks nothing`, async () => {
    const scene = await Scene.with(make())
    tell(scene)
    expect(scene.cluster.world.violation).toBeUndefined()
  })
}

/** It takes itself for the leader. */
export const leads = (scene: Scene, who = scene.follower): void => {
  scene.live(who).role = scene.live(scene.leader).role
}
