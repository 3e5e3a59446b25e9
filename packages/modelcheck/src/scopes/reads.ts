import type { Scope } from '../system/scope.ts'

const servers = ['n1', 'n2', 'n3'] as const

export const reads: readonly Scope[] = [
  {
    name: 'reads',
    about:
      'a writer and a reader at any servers, while leadership changes; a server that is not stepped is a paused one',
    servers,
    budgets: { propose: 1, read: 2, campaign: 1, heartbeat: 1 },
    clientsAt: 'all',
    term: 3,
    isLed: true,
    impatient: true,
    flushesAtOnce: true,
    channel: 1,
    states: 4_000_000,
  },
  {
    name: 'reads-at-leaders',
    about: 'the same at leaders alone, old and new',
    servers,
    budgets: { propose: 1, read: 2, campaign: 1, crash: 1 },
    term: 3,
    isLed: true,
    impatient: true,
    flushesAtOnce: true,
    channel: 1,
    states: 8_000_000,
  },
  {
    name: 'one-read',
    about: 'one proposal, one read, one rival',
    servers,
    budgets: { propose: 1, read: 1, campaign: 1 },
    term: 3,
    isLed: true,
    impatient: true,
    flushesAtOnce: true,
    channel: 1,
  },
  {
    name: 'stale-leader',
    about: 'a leader that does not know yet that another one leads is read, and what it hears is old',
    servers,
    budgets: { propose: 1, read: 1, campaign: 1, heartbeat: 1, loss: 1 },
    term: 3,
    isLed: true,
    impatient: true,
    flushesAtOnce: true,
    channel: 1,
    states: 4_000_000,
  },
]
