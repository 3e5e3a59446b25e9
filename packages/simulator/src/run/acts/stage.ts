import type { Random } from '../../random.ts'
import type { Server } from '../../world/server.ts'
import type { World } from '../../world/world.ts'
import type { Run } from '../run.ts'

/** What an act has to work with. */
export interface Stage {
  readonly run: Run
  readonly world: World
  /** Of this act alone. */
  readonly random: Random
  /** Milliseconds. */
  readonly lasts: number
}

/** Does it, and says whom; undefined if it can not be done just now. */
export type Deed = (stage: Stage) => object | undefined

export const running = ({ run }: Stage): Server[] => run.servers.filter((server) => server.alive && !server.paused)

export function pickRunning(stage: Stage): Server | undefined {
  const servers = running(stage)
  return servers.length === 0 ? undefined : stage.random.pick(servers)
}

export const later = ({ world, lasts, run }: Stage, undo: () => void): void =>
  void world.after(lasts, () => {
    // Once all is healed, the end of a fault has nothing to undo.
    if (!run.healing) undo()
  })
