/** Members of a certified cluster that lie, each with its own key and no other. */
export { behaviours } from './behaviours.ts'
export { type Culprit, epochFaults, type Fault, type FaultName, faultNames, faults } from './faults.ts'
export { byzantine, type Lies } from './kind.ts'
export { Knowledge } from './knowledge.ts'
export { type Host, Liar } from './liar.ts'
export { roundOf, smallMutations } from './rounds.ts'
export type { Act, Behaviour, Said, Stage } from './stage.ts'
