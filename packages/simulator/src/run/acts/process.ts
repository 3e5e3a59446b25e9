import type { Server } from '../../world/server.ts'
import type { clockKinds, diskKinds, processKinds } from './kinds.ts'
import { strengthen } from './operator.ts'
import { type Deed, later, pickRunning, running, type Stage } from './stage.ts'

function kill({ run, lasts }: Stage, server: Server): object {
  server.kill()
  run.caretaker.reviveAfter(server, lasts)
  return { server: server.id }
}

function pause(stage: Stage, server: Server): object {
  server.pause()
  later(stage, () => server.resume())
  return { server: server.id }
}

/** A server whose disk may lose everything: others hold all that is committed. */
function dispensable(stage: Stage): Server | undefined {
  const { run, random, world } = stage
  if (run.operator.busy) return undefined
  const server = random.shuffle(run.servers).find((each) => each.boots > 0 && world.mayDamage(each))
  if (!server) strengthen(stage)
  return server
}

export const processActs: Readonly<Record<(typeof processKinds)[number], Deed>> = {
  kill(stage) {
    const server = pickRunning(stage)
    return server && kill(stage, server)
  },
  'kill-leader'(stage) {
    const { leader } = stage.world
    return leader && kill(stage, leader)
  },
  /** Dies after some effect of some turn soon: between a write and the message that implies it, for one. */
  'kill-between-effects'(stage) {
    const server = pickRunning(stage)
    if (!server) return undefined
    const effects = 1 + stage.random.below(40)
    server.killAfter(effects)
    stage.run.caretaker.reviveAfter(server, stage.lasts)
    return { server: server.id, effects }
  },
  /** All processes end at once. */
  'kill-all'(stage) {
    const servers = running(stage)
    if (servers.length === 0) return undefined
    for (const server of servers) kill({ ...stage, lasts: stage.random.next() * stage.lasts }, server)
    return {}
  },
  /** The power fails for all members at once, those included that stand still or are off: of each disk, what was not flushed may be gone. */
  blackout(stage) {
    const { run, random, world, lasts } = stage
    if (world.leader?.state !== 'up') return undefined
    for (const server of run.servers) {
      if (server.boots === 0) continue
      const { alive } = server
      server.cutPower()
      if (alive) run.caretaker.reviveAfter(server, random.next() * lasts)
    }
    return {}
  },
  /** A clean close, then a new start. */
  restart(stage) {
    const server = pickRunning(stage)
    if (server?.state !== 'up') return undefined
    stage.run.caretaker.reviveAfter(server, stage.lasts)
    void server.close()
    return { server: server.id }
  },
  pause(stage) {
    const server = pickRunning(stage)
    return server && pause(stage, server)
  },
  'pause-leader'(stage) {
    const { leader } = stage.world
    return leader && !leader.paused ? pause(stage, leader) : undefined
  },
  /** Stands still in the middle of a turn: what it did before is out, what comes after is late. */
  'stall-between-effects'(stage) {
    const server = pickRunning(stage)
    if (!server) return undefined
    const effects = 1 + stage.random.below(40)
    server.stall(effects, stage.lasts)
    return { server: server.id, effects }
  },
  slow(stage) {
    const server = pickRunning(stage)
    if (!server) return undefined
    server.slow = stage.run.plan.node.timing.electionTimeout! * stage.random.between(0.01, 0.5)
    later(stage, () => {
      server.slow = 0
    })
    return { server: server.id }
  },
  /** The disk is lost with all on it. The caretaker has the server added again. */
  wipe(stage) {
    const server = dispensable(stage)
    if (!server) return undefined
    server.wipe()
    stage.run.caretaker.reviveAfter(server, stage.lasts)
    return { server: server.id }
  },
}

/** A fault that stays until the disk is wiped. It shows when the damaged part is read. */
const damage =
  (harm: (server: Server) => boolean): Deed =>
  (stage) => {
    const { run, world, random } = stage
    if (run.operator.busy) return undefined
    const server = random.shuffle(run.servers).find((each) => each.boots > 0 && world.mayDamage(each) && harm(each))
    if (!server) {
      // Where there are no snapshots to harm yet, there will be.
      const up = run.servers.filter(({ state }) => state === 'up')
      if (up.length > 0) void random.pick(up).call((node) => node.snapshot())
      strengthen(stage)
      return undefined
    }
    // What is not read does not show: most of the time, it starts again soon.
    if (random.chance(0.7) && server.alive) {
      server.kill()
      run.caretaker.reviveAfter(server, stage.lasts)
    }
    return { server: server.id }
  }

export const diskActs: Readonly<Record<(typeof diskKinds)[number], Deed>> = {
  'disk-stall'(stage) {
    const server = pickRunning(stage)
    server?.disk.stall(stage.lasts)
    return server && { server: server.id }
  },
  'disk-slow'(stage) {
    const server = pickRunning(stage)
    if (!server) return undefined
    const { disk } = server
    const { wear } = disk
    const most = stage.run.plan.node.timing.electionTimeout! * stage.random.between(0.05, 1)
    disk.wear = { ...wear, flush: [most / 10, most], read: [most / 20, most / 2] }
    later(stage, () => {
      disk.wear = wear
    })
    return { server: server.id }
  },
  /** The next flush fails. The node stops, and the caretaker starts it again. */
  'disk-error'(stage) {
    const server = pickRunning(stage)
    if (!server) return undefined
    server.disk.fail()
    return { server: server.id }
  },
  'disk-full'(stage) {
    const server = pickRunning(stage)
    if (!server) return undefined
    server.disk.fill()
    later(stage, () => server.disk.free())
    return { server: server.id }
  },
  'rot-record': damage(({ disk }) => disk.rot('record')),
  'rot-blob': damage(({ disk }) => disk.rot('blob')),
  'rot-state': damage(({ disk }) => disk.rot('state')),
  'misdirect-record': damage(({ disk }) => disk.misdirect('record')),
  'misdirect-blob': damage(({ disk }) => disk.misdirect('blob')),
}

export const clockActs: Readonly<Record<(typeof clockKinds)[number], Deed>> = {
  /** Within the bound that leases are told of. */
  'clock-drift'(stage) {
    const { run, random } = stage
    const server = random.pick(run.servers)
    const { leases } = run.plan.node
    const most = (leases?.drift ?? 0.2) / 2
    const rate = 1 + random.between(-most, most)
    server.clock.drift(rate, stage.world.now)
    return { server: server.id, rate }
  },
  /** No decision of the protocol may rest on the wall clock. */
  'wall-jump'(stage) {
    const server = stage.random.pick(stage.run.servers)
    const milliseconds = Math.floor(stage.random.between(-3_600_000, 3_600_000))
    server.clock.jumpWall(milliseconds)
    return { server: server.id, milliseconds }
  },
}
