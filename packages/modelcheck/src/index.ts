/** A bounded model checker: an explorer for any model of processes and messages, and Raftkit's protocol as such a model. */
export { type Exploration, type ExploreOptions, explore, type Progress } from './explore/explore.ts'
export { type LocalAction, type Model, type Transition, Violation, type Words } from './explore/model.ts'
export { type Subject, type SubjectOptions, scopes, subjects } from './scopes/index.ts'
export type { BudgetName, Budgets, Machine, Scope } from './system/scope.ts'
export { System, type SystemOptions } from './system/system.ts'
