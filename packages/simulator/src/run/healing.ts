import { fairWeather } from '../world/network/weather.ts'
import type { Run } from './run.ts'

/** Ends every fault: from here on only what was lost for good stays lost. */
export function heal(run: Run): void {
  const { world, servers, caretaker } = run
  run.healing = true
  world.network.heal()
  world.network.setWeather(fairWeather)
  for (const server of servers) {
    server.disk.heal()
    server.slow = 0
    if (server.paused) server.resume()
    // Damage that nobody has read yet comes to light when it starts again.
    if (server.alive && server.disk.damaged) server.kill()
  }
  caretaker.tick()
}

/** A leader, a configuration that is not on its way anywhere, and every member of it running, caught up and applied. */
export function converged({ world }: Run): boolean {
  const { leader } = world
  const status = leader?.protocol?.status()
  if (leader?.state !== 'up' || !status?.configCommitted || status.commit !== status.last) return false
  return status.config.members.every(({ id, incarnation, role }) => {
    const server = world.server(id)
    const there = server.protocol?.status()
    return (
      (role === 'voter' || role === 'learner') &&
      server.state === 'up' &&
      server.incarnation === incarnation &&
      there?.leader === leader.id &&
      there.term === status.term &&
      there.commit === status.commit &&
      there.durable === status.last &&
      there.applied === status.commit
    )
  })
}
