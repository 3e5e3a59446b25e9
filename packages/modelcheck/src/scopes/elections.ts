import type { Scope } from '../system/scope.ts'

const servers = ['n1', 'n2', 'n3'] as const

export const elections: readonly Scope[] = [
  {
    name: 'elections',
    about: 'election timers, pre-votes, leaders deposed by silence, crashes between any two effects',
    servers,
    budgets: { timeout: 3, silence: 1, crash: 1 },
    term: 3,
    channel: 1,
    states: 5_000_000,
  },
  {
    name: 'one-election',
    about: 'one election timer fires; every message may be lost, late or out of order, in any number',
    servers,
    budgets: { timeout: 1 },
    term: 3,
  },
  {
    name: 'votes',
    about: 'candidates without pre-votes; crashes, with some of the writes under way lost',
    servers,
    budgets: { campaign: 3, crash: 2 },
    term: 4,
    impatient: true,
    channel: 1,
    states: 5_000_000,
  },
  {
    name: 'two-candidates',
    about: 'two candidates of one term',
    servers,
    budgets: { campaign: 2 },
    term: 2,
    impatient: true,
    channel: 1,
  },
  {
    name: 'alone',
    about: 'a cluster of one, which decides alone what its disk must hold first',
    servers: ['n1'],
    budgets: { timeout: 2, campaign: 1, crash: 2, propose: 2, read: 1 },
    term: 5,
  },
  {
    name: 'transfer',
    about: 'leadership is handed over, and a crash comes between',
    servers,
    budgets: { transfer: 2, campaign: 1, crash: 1, heartbeat: 1 },
    term: 4,
    isLed: true,
    impatient: true,
    flushesAtOnce: true,
    channel: 1,
    states: 8_000_000,
  },
]
