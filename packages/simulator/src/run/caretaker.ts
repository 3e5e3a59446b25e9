import { isRaftkitError, type Member } from '@raftkit/contract'
import { type Ending, Violation } from '../watcher.ts'
import type { Server } from '../world/server.ts'
import type { Run } from './run.ts'

/** Errors that a node may stop with, or not start with, if its disk failed. Any other is a fault of its own. */
const byDisk: ReadonlySet<string> = new Set(['STORAGE_FAILED', 'DAMAGED'])

/**
 * Who looks after the servers, as people or a supervisor would: starts again what has died, has a server that lost its disk added again under
 * its new incarnation, and switches off who is no member any more.
 */
export class Caretaker {
  readonly #run: Run
  readonly #reviveAt = new Map<Server, number>()
  readonly #newcomers = new Map<Server, number>()
  readonly #outsiders = new Map<Server, number>()
  readonly #damagedSince = new Map<Server, number>()
  #repairing = false

  constructor(run: Run) {
    this.#run = run
  }

  reviveAfter(server: Server, milliseconds: number): void {
    this.#reviveAt.set(server, this.#run.world.now + milliseconds)
  }

  /** It is off for now, but will run again. */
  expects(server: Server): boolean {
    return this.#reviveAt.has(server)
  }

  /** It runs to be added. */
  awaits(server: Server): boolean {
    return (this.#newcomers.get(server) ?? 0) > this.#run.world.now
  }

  /** Starts a server that is to be added: with an empty disk, waiting. */
  startNewcomer(server: Server): void {
    const { world, plan } = this.#run
    if (server.boots > 0) server.wipe()
    this.#reviveAt.delete(server)
    this.#outsiders.delete(server)
    this.#newcomers.set(server, world.now + 30 * plan.node.timing.electionTimeout!)
    server.start({ join: true })
  }

  /** A process ended. `exit`: by itself. */
  crashed(server: Server, how: Ending): void {
    const { failure } = server
    if (how === 'exit' && failure !== undefined) {
      const code = isRaftkitError(failure) ? failure.code : undefined
      // Rot may hit the very number of a format.
      const foreign = code === 'UNKNOWN_FORMAT' && server.disk.damaged
      if (code === undefined || !(byDisk.has(code) || foreign))
        throw new Violation('no failure of its own', `${server.id} stopped: ${String(failure)}`, failure)
      if (code === 'DAMAGED' && !server.disk.damaged)
        throw new Violation(
          'no false alarm',
          `${server.id} takes an intact disk for damaged: ${String(failure)}`,
          failure,
        )
      this.#run.count(`stopped ${code}`)
    }
    if (!this.#reviveAt.has(server)) this.reviveAfter(server, this.#run.random.between(0, 5) * this.#electionTimeout)
  }

  tick(): void {
    this.#revive()
    this.#scrub()
    this.#dismiss()
    if (!this.#repairing) void this.#repair()
  }

  #revive(): void {
    const { world, healing } = this.#run
    for (const [server, time] of [...this.#reviveAt]) {
      if (server.alive || (time > world.now && !healing)) continue
      this.#reviveAt.delete(server)
      if (isRaftkitError(server.failure, 'DAMAGED') || isRaftkitError(server.failure, 'UNKNOWN_FORMAT')) {
        if (server.boots > 0) server.wipe()
        this.#reviveAt.delete(server)
        this.#run.count('damage found')
      }
      server.start()
    }
  }

  /** Damage that nobody reads would stay for ever: after a while the disk is checked, and changed. Not while all are asked a last time (seed 181). */
  #scrub(): void {
    const { world, servers, healing } = this.#run
    if (healing) return
    for (const server of servers) {
      const since = this.#damagedSince.get(server)
      if (!server.disk.damaged) this.#damagedSince.delete(server)
      else if (since === undefined) this.#damagedSince.set(server, world.now)
      else if (world.now - since > 20 * this.#electionTimeout) {
        server.wipe()
        this.reviveAfter(server, 0)
        this.#run.count('damage scrubbed')
      }
    }
  }

  /** Who runs and is no member, for a while now, is switched off and becomes a spare. */
  #dismiss(): void {
    const { world, servers, operator, healing } = this.#run
    const status = world.leader?.protocol?.status()
    if (!status?.configCommitted || operator.busy) return
    const listed = new Set(status.config.members.map(({ id }) => id))
    for (const server of servers) {
      const awaited = !healing && this.awaits(server)
      if (listed.has(server.id) || !server.alive || awaited) {
        this.#outsiders.delete(server)
        continue
      }
      const since = this.#outsiders.get(server) ?? world.now
      this.#outsiders.set(server, since)
      if (world.now - since < 5 * this.#electionTimeout) continue
      this.#outsiders.delete(server)
      server.wipe()
      this.#reviveAt.delete(server)
      this.#run.count('dismissed')
    }
  }

  /** One member that runs under another incarnation than the listed one is replaced by itself. */
  async #repair(): Promise<void> {
    const { world, operator } = this.#run
    const { leader } = world
    const all = operator.members.filter((member) => this.#isLost(member, operator.members))
    // A replacement that will never catch up is called off first: nothing else can be changed until then.
    const lost = all.find(({ role }) => role === 'joining') ?? all[0]
    if (!lost || leader?.state !== 'up') return
    this.#repairing = true
    try {
      const { id } = lost
      const server = world.server(id)
      const how = { timeout: 20 * this.#electionTimeout }
      const twice = operator.members.filter((member) => member.id === id).length > 1
      if (twice || lost.role === 'joining' || lost.role === 'learner')
        await operator.ask(leader, 'remove', { id }, (node) => node.members.remove(id, { ...how, force: true }))
      else if (server.state === 'up') {
        const { address } = server
        if (await operator.ask(leader, 'replace', { id }, (node) => node.members.replace(id, { id, address }, how)))
          this.#run.count('repaired')
      }
      await world.sleep(this.#electionTimeout)
    } finally {
      this.#repairing = false
    }
  }

  /** The listed incarnation is nowhere any more, and no newer one stands beside it. */
  #isLost({ id, incarnation }: Member, members: readonly Member[]): boolean {
    const server = this.#run.world.server(id)
    if (server.incarnation === undefined || server.incarnation === incarnation) return false
    return !members.some((other) => other.id === id && other.incarnation === server.incarnation)
  }

  get #electionTimeout(): number {
    return this.#run.plan.node.timing.electionTimeout!
  }
}
