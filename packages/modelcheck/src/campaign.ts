import { bftSubjects } from './bft/index.ts'
import type { Exploration, Progress } from './explore/explore.ts'
import { type Subject, subjects } from './scopes/index.ts'

/** By protocol. */
export const protocols: Readonly<Record<string, readonly Subject[]>> = { raft: subjects, bft: bftSubjects }

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
}

/** No scope takes longer by default: a campaign is to end. */
const secondsEach = 600

/** Explores one scope, within limits. */
export async function run(name: string, limits: Limits, progress?: (so: Progress) => void): Promise<Result> {
  const subject = [...subjects, ...bftSubjects].find((each) => each.name === name)
  if (subject === undefined) throw new Error(`no scope is named ${name}; see --list`)
  const { symmetry, reduce, seconds = secondsEach } = limits
  const states = limits.states ?? subject.states
  const begun = process.hrtime.bigint()
  const elapsed = (): number => Number((process.hrtime.bigint() - begun) / 1_000_000n) / 1000
  const explored = await subject.explore({
    symmetry,
    reduce,
    ...(states === undefined ? {} : { states }),
    isOver: () => elapsed() > seconds,
    ...(progress === undefined ? {} : { progress }),
  })
  return { name, bounds: subject.bounds, ...explored, seconds: Math.round(elapsed() * 10) / 10 }
}
