import type { Scope } from '../system/scope.ts'

const servers = ['n1', 'n2', 'n3'] as const

/** Two of them do not fit one message of 4 KiB. */
const long = (letter: string): string => letter.repeat(2000)

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
    states: 5_000_000,
  },
  {
    name: 'stalled-disk',
    // A leader gives up for a disk that stalls as it does for silence: by `stepDown`. Here it may do so while no write of it is finished.
    about:
      'a leader makes way while its disk finishes nothing; others commit or cut what it had sent, and its writes go on',
    servers,
    budgets: { propose: 1, silence: 1, campaign: 1 },
    term: 3,
    last: 5,
    isLed: true,
    impatient: true,
    channel: 1,
  },
  {
    name: 'pipeline',
    about: 'a steady leader: messages overtake each other, are lost, come twice',
    servers,
    budgets: { propose: 2, heartbeat: 1, retry: 1, duplicate: 1 },
    term: 2,
    isLed: true,
    impatient: true,
    flushesAtOnce: true,
    channel: 3,
    states: 4_000_000,
  },
  {
    name: 'figure-8',
    about: 'leaders in turn, with entries that are replicated one by one and may never commit (Figure 8)',
    servers,
    // n1 has entries of term 2 that nobody else has; n2 others, of term 3; n1 leads again.
    prelude: [
      { propose: 'n1', command: long('x') },
      { propose: 'n1', command: long('y') },
      { elect: 'n2', by: 'n3' },
      { propose: 'n2', command: long('z') },
      { propose: 'n2', command: 'w' },
      { elect: 'n1', by: 'n3' },
    ],
    maxMessageBytes: 4096,
    budgets: { campaign: 2, propose: 1, retry: 1, crash: 1 },
    term: 6,
    isLed: true,
    impatient: true,
    flushesAtOnce: true,
    channel: 1,
    states: 5_000_000,
  },
  {
    name: 'divergence',
    about: 'three logs that differ, each flush apart',
    servers,
    prelude: [
      { propose: 'n1', command: 'x' },
      { elect: 'n2', by: 'n3' },
      { propose: 'n2', command: 'z' },
      { elect: 'n1', by: 'n3' },
    ],
    budgets: { campaign: 1, heartbeat: 1, read: 1, duplicate: 1 },
    term: 6,
    isLed: true,
    impatient: true,
    channel: 2,
    states: 4_000_000,
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
    states: 4_000_000,
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
