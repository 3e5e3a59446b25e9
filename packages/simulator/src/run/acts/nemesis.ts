import { Random } from '../../random.ts'
import type { Act } from '../plan.ts'
import type { Run } from '../run.ts'
import type { ActKind } from './kinds.ts'
import { networkActs } from './network.ts'
import { operatorActs } from './operator.ts'
import { clockActs, diskActs, processActs } from './process.ts'
import type { Deed } from './stage.ts'

const deeds: Readonly<Record<ActKind, Deed>> = {
  ...networkActs,
  ...processActs,
  ...diskActs,
  ...clockActs,
  ...operatorActs,
}

/** Carries out the plan's acts. One that can not be done when its time comes (there is no leader to isolate) waits until it can. */
export class Nemesis {
  readonly #run: Run
  #due: Act[]
  #waiting: Act[] = []
  /** How often each kind was done. */
  readonly done: Map<ActKind, number> = new Map()

  constructor(run: Run) {
    this.#run = run
    this.#due = [...run.plan.acts]
  }

  /** Kinds of the plan that were never done. */
  get missing(): ActKind[] {
    const kinds = new Set(this.#run.plan.acts.map(({ kind }) => kind))
    return [...kinds].filter((kind) => !this.done.has(kind))
  }

  /** Does what is due. Asked every now and then. */
  tick(): void {
    const { world } = this.#run
    while (this.#due.length > 0 && this.#due[0]!.at <= world.events) this.#waiting.push(this.#due.shift()!)
    this.#waiting = this.#waiting.filter((act) => !this.#tried(act))
  }

  #tried({ kind, pick, lasts }: Act): boolean {
    const run = this.#run
    const { world } = run
    // Drawn anew at each try, or it would fail in the same way for ever.
    const random = new Random(`${pick}/${world.events}`)
    const details = deeds[kind]({ run, world, random, lasts })
    if (!details) return false
    this.done.set(kind, (this.done.get(kind) ?? 0) + 1)
    world.watchers.fault({ kind, lasts, ...details })
    return true
  }
}
