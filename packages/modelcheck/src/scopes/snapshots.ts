import type { Scope } from '../system/scope.ts'

const servers = ['n1', 'n2', 'n3'] as const

export const snapshots: readonly Scope[] = [
  {
    name: 'snapshots',
    about: 'logs are compacted to the last entry, and who lags fetches the snapshot, also one whose log has diverged',
    servers,
    budgets: { propose: 2, snapshot: 2, campaign: 1, retry: 1, heartbeat: 1 },
    limits: { trailingEntries: 0, cacheBytes: 0 },
    term: 3,
    last: 6,
    isLed: true,
    impatient: true,
    flushesAtOnce: true,
    channel: 1,
    states: 4_000_000,
  },
  {
    name: 'snapshots-and-crashes',
    about: 'the same with every flush apart, and a crash',
    servers,
    budgets: { propose: 1, snapshot: 1, campaign: 1, retry: 1, crash: 1 },
    limits: { trailingEntries: 0, cacheBytes: 0 },
    term: 3,
    last: 6,
    isLed: true,
    impatient: true,
    channel: 1,
    states: 4_000_000,
  },
  {
    name: 'one-snapshot',
    about: 'one snapshot, and one server that needs it',
    servers,
    prelude: [{ propose: 'n1', command: 'x' }],
    budgets: { snapshot: 1, retry: 1, heartbeat: 1 },
    limits: { trailingEntries: 0, cacheBytes: 0 },
    term: 2,
    isLed: true,
    impatient: true,
    flushesAtOnce: true,
    channel: 1,
  },
]
