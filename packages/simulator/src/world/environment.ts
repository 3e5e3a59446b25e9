import type { Environment } from '@raftkit/contract'
import type { Random } from '../random.ts'
import type { Process } from './process.ts'

/** Time and randomness as one process sees them: the server's own clock, streams of its own. */
export function environmentOf(process: Process, random: Random): Environment {
  const { server, world } = process
  const { clock } = server
  const { timeline } = world
  const turns = random.split('turns')
  const now = (): number => clock.now(timeline.now + process.lag)
  return {
    now,
    wall: () => clock.wall(timeline.now + process.lag),
    at(time, run) {
      const fire = (): void => {
        if (now() >= time) run()
        else arm() // the clock was slowed down meanwhile
      }
      const arm = () => {
        due = timeline.at(Math.max(clock.worldAt(time), timeline.now + 0.001), fire, process)
      }
      let due = timeline.at(clock.worldAt(time), fire, process)
      return () => timeline.cancel(due)
    },
    soon(run) {
      if (server.slow > 0) timeline.at(timeline.now + turns.between(0, server.slow), run, process)
      else timeline.soon(run, process)
    },
    random: (into) => random.fill(into),
  }
}
