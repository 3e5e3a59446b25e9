import type { Raft } from '@raftkit/core'
import type { BudgetName, Scope } from './scope.ts'
import type { Server } from './server.ts'

/** What a server may do of itself, or a client with it. */
export interface Action {
  readonly type: Exclude<BudgetName, 'duplicate' | 'loss'> | 'flush' | 'elapse' | 'restart'
  /** Which proposal, change or read it is; how many of the writes under way outlive the crash; to whom leadership goes. */
  readonly arg: number
  readonly what?: string
  readonly budget?: BudgetName
  /** Only as the so-many-th of its kind. */
  readonly when?: number
}

export const budgetNames: readonly BudgetName[] = [
  'timeout',
  'campaign',
  'heartbeat',
  'silence',
  'retry',
  'crash',
  'propose',
  'read',
  'change',
  'transfer',
  'snapshot',
  'duplicate',
  'loss',
]

export function actionsOf({ life, contents, blobs }: Server, scope: Scope, reduce: boolean): Action[] {
  const { budgets } = scope
  const actions: Action[] = []
  const may = (type: Exclude<BudgetName, 'duplicate' | 'loss'>, arg = 0, rest: Partial<Action> = {}): void => {
    if ((budgets[type] ?? 0) > 0) actions.push({ type, arg, budget: type, ...rest })
  }
  if (life === undefined) return reduce ? [] : [{ type: 'restart', arg: 0 }]
  const { protocol } = life
  const isLeader = protocol.role.type === 'leader'
  if (life.writes.length > 0) actions.push({ type: 'flush', arg: 0 })
  for (let kept = 0; kept < contents.length; kept++) may('crash', kept)
  if (isLeader) {
    may('heartbeat')
    may('silence')
  } else {
    may('timeout')
    may('campaign')
    if (!scope.impatient && protocol.now - protocol.heardLeader < protocol.settings.electionTimeout)
      actions.push({ type: 'elapse', arg: 0 })
  }
  may('retry')
  const once = (type: 'propose' | 'read' | 'change', from: number, what?: (at: number) => string): void => {
    for (let at = 0; at < (budgets[type] ?? 0); at++)
      may(type, at + from, { when: at, ...(what === undefined ? {} : { what: what(at) }) })
  }
  if (isLeader || scope.clientsAt === 'all') {
    once('propose', 1, (at) => scope.commands?.[at] ?? String.fromCharCode(97 + at))
    once('read', 0)
    once('change', 0)
  }
  if (isLeader)
    scope.servers.forEach((id, slot) => {
      if (id !== protocol.self.id) may('transfer', slot)
    })
  if (life.applied > (protocol.state.snapshot?.index ?? 0) && blobs.size < 3 && protocol.restoring === undefined)
    may('snapshot')
  return actions
}

/** Whether it leads anew: it did not lead in this term before. */
export const leaderStands = (before: Raft | undefined, after: Raft): boolean =>
  before === undefined || before.role.type !== 'leader' || before.state.term !== after.state.term

export function describe({ type, arg, what }: Action, scope: Scope): string {
  switch (type) {
    case 'timeout':
      return 'its election timer fires'
    case 'elapse':
      return 'has not heard a leader for an election timeout'
    case 'heartbeat':
      return 'its heartbeat timer fires'
    case 'silence':
      return 'has led without hearing anybody for an election timeout'
    case 'retry':
      return 'a retry interval passes'
    case 'campaign':
      return 'is told to stand for election'
    case 'flush':
      return 'its oldest write becomes durable'
    case 'crash':
      return `crashes; of the writes under way, ${arg} have reached the disk`
    case 'restart':
      return 'starts again'
    case 'propose':
      return `a client proposes “${what?.slice(0, 8)}”`
    case 'read':
      return `a client reads (${arg + 1})`
    case 'change':
      return `a client asks for ${JSON.stringify(scope.changes?.[arg])}`
    case 'transfer':
      return `a client asks it to hand leadership to ${scope.servers[arg]}`
    case 'snapshot':
      return 'keeps a snapshot'
  }
}
