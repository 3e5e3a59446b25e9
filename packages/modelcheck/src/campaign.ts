import { type Exploration, explore, type Progress } from './explore/explore.ts'
import { scopes } from './scopes/index.ts'
import { System } from './system/system.ts'

export interface Limits {
  /** Seconds and distinct states for each scope; what the scope says if absent. */
  readonly seconds?: number | undefined
  readonly states?: number | undefined
  readonly symmetry: boolean
  readonly reduce: boolean
}

export interface Result extends Exploration {
  readonly name: string
  readonly bounds: Readonly<Record<string, unknown>>
  readonly seconds: number
  /** Distinct states of one server, and distinct messages: for each pair of them the protocol ran once. */
  readonly localStates: number
  readonly messages: number
}

/** Explores one scope, within limits. */
export function run(name: string, limits: Limits, progress?: (so: Progress) => void): Result {
  const scope = scopes.find((each) => each.name === name)
  if (scope === undefined) throw new Error(`no scope is named ${name}; see --list`)
  const begun = process.hrtime.bigint()
  const elapsed = (): number => Number((process.hrtime.bigint() - begun) / 1_000_000n) / 1000
  const seconds = limits.seconds ?? 600
  const system = new System(scope, limits)
  const explored = explore(system, {
    reduce: limits.reduce,
    states: limits.states ?? scope.states ?? Number.POSITIVE_INFINITY,
    isOver: () => elapsed() > seconds,
    ...(progress === undefined ? {} : { progress }),
  })
  const { localStates, messages } = system
  return { name, bounds: boundsOf(name), ...explored, seconds: Math.round(elapsed() * 10) / 10, localStates, messages }
}

/** What may happen in a scope, and how often. */
export function boundsOf(name: string): Record<string, unknown> {
  const { servers, term, last, budgets, redelivers } = scopes.find((scope) => scope.name === name)!
  return {
    servers: servers.length,
    term,
    ...(last === undefined ? {} : { last }),
    ...budgets,
    ...(redelivers ? { duplicate: 'any' } : {}),
  }
}
