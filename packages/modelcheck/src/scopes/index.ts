import type { Scope } from '../system/scope.ts'

const trio = ['n1', 'n2', 'n3'] as const

export const scopes: readonly Scope[] = [
  {
    name: 'tiny',
    about: 'one election',
    servers: trio,
    budgets: { timeout: 2, crash: 1 },
    term: 3,
  },
]
