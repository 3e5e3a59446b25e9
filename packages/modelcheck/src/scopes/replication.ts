import type { Scope } from '../system/scope.ts'

const servers = ['n1', 'n2', 'n3'] as const

export const replication: readonly Scope[] = [
  {
    name: 'replication',
    about: 'proposals, a change of leader, a crash; each flush apart from the message that waits for it',
    servers,
    budgets: { propose: 2, campaign: 1, crash: 1, retry: 1, duplicate: 1 },
    term: 3,
    last: 5,
    isLed: true,
    impatient: true,
    channel: 2,
    states: 8_000_000,
  },
  {
    name: 'figure-8',
    about: 'leaders in turn with entries that never commit (Figure 8)',
    servers,
    budgets: { propose: 2, campaign: 3, crash: 1, heartbeat: 1, retry: 1 },
    term: 5,
    isLed: true,
    impatient: true,
    flushesAtOnce: true,
    channel: 1,
    states: 8_000_000,
  },
  {
    name: 'redelivery',
    about: 'every message may be delivered again and again, in any order',
    servers,
    budgets: { propose: 1, campaign: 1, retry: 1 },
    term: 3,
    isLed: true,
    impatient: true,
    flushesAtOnce: true,
    redelivers: true,
    states: 6_000_000,
  },
  {
    name: 'one-proposal',
    about: 'one proposal, one rival',
    servers,
    budgets: { propose: 1, campaign: 1 },
    term: 3,
    isLed: true,
    impatient: true,
    flushesAtOnce: true,
    channel: 2,
  },
]
