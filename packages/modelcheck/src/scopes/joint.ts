import { jointConsensus } from '@raftkit/membership'
import type { Scope } from '../system/scope.ts'

const newcomer = (id: string) => ({ id, incarnation: '0'.repeat(32) })

export const joint: readonly Scope[] = [
  {
    name: 'joint',
    about: '{n1, n2, n3} becomes {n2, n3, n4} while leadership changes',
    servers: ['n1', 'n2', 'n3', 'n4'],
    founders: ['n1', 'n2', 'n3'],
    membership: jointConsensus() as never,
    changes: [{ type: 'change', voters: ['n2', 'n3', newcomer('n4')] }],
    budgets: { change: 1, campaign: 1, retry: 1, heartbeat: 1 },
    term: 3,
    isLed: true,
    impatient: true,
    flushesAtOnce: true,
    channel: 1,
    symmetric: [['n2', 'n3']],
    states: 4_000_000,
  },
  {
    name: 'joint-of-one',
    about: '{n1} becomes {n2}, and a crash comes between',
    servers: ['n1', 'n2'],
    founders: ['n1'],
    membership: jointConsensus() as never,
    changes: [{ type: 'change', voters: [newcomer('n2')] }],
    budgets: { change: 1, campaign: 2, crash: 1, retry: 1, heartbeat: 2, propose: 1 },
    term: 4,
    isLed: true,
    impatient: true,
    channel: 2,
    symmetric: [],
    states: 4_000_000,
  },
  {
    name: 'removal',
    about: 'a voter, perhaps the leader, is removed; its configurations may be cut off again by the next leader',
    servers: ['n1', 'n2', 'n3'],
    membership: jointConsensus() as never,
    changes: [
      { type: 'remove', id: 'n1' },
      { type: 'remove', id: 'n2' },
    ],
    budgets: { change: 2, campaign: 2, retry: 1, heartbeat: 1 },
    term: 4,
    isLed: true,
    impatient: true,
    flushesAtOnce: true,
    channel: 1,
    symmetric: [],
    states: 4_000_000,
  },
]
