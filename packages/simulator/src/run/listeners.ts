import type { NodeEvent } from 'raftkit'
import type { Random } from '../random.ts'
import { Violation } from '../watcher.ts'
import type { Process } from '../world/process.ts'
import type { Server } from '../world/server.ts'
import type { Run } from './run.ts'

/** Reads `node.events()` of every node, slowly, and holds it against what the node's observer is told: the same events in the same order, and what did not fit the buffer counted at its place. */
export class Listeners {
  readonly #run: Run
  readonly #random: Random
  readonly #listeners = new Map<Process, NodeEvent[]>()

  constructor(run: Run) {
    this.#run = run
    this.#random = run.random.split('listeners')
  }

  /** Whoever is up and has no listener gets one. */
  tick(): void {
    const { plan, servers } = this.#run
    if (!plan.listen) return
    for (const { process, node } of servers) {
      if (!process || !node || this.#listeners.has(process)) continue
      this.#listeners.set(process, [])
      this.#run.mind(this.#listen(process, node.events({ buffer: plan.listen.buffer })))
    }
  }

  told({ process }: Server, event: NodeEvent): void {
    if (process) this.#listeners.get(process)?.push(event)
  }

  async #listen(process: Process, events: AsyncIterableIterator<NodeEvent>): Promise<void> {
    const random = this.#random
    const { pause } = this.#run.plan.listen!
    const missing = this.#listeners.get(process)!
    const { id } = process.server
    for (;;) {
      const { value, done } = await events.next()
      // What a node that died would still have said, nobody hears.
      if (!process.alive) return
      if (done) break
      if (value.type === 'missed') {
        this.#run.count('events missed')
        if (value.count > missing.length)
          throw new Violation('events are told', `${id} says that ${value.count} were missed, of ${missing.length}`)
        missing.splice(0, value.count)
      } else if (missing.shift() !== value)
        throw new Violation('events are told', `${id} tells another event than the observer was told`, value)
      this.#run.count('events heard')
      if (!random.chance(0.1)) continue
      await this.#run.world.sleep(random.between(0, pause))
      if (!process.alive) return
      if (!random.chance(0.02)) continue
      await events.return!()
      this.#listeners.delete(process) // and listens anew at the next tick
      return
    }
    if (missing.length > 0)
      throw new Violation(
        'events are told',
        `${id} ends its events, though ${missing.length} were not told`,
        missing[0],
      )
  }
}
