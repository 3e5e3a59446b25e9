import { leaderStands } from './actions.ts'
import type { Log } from './logs.ts'
import type { Life, Server, Turn } from './server.ts'
import type { News } from './watcher.ts'

/** What a turn of a server tells the watcher. `earlier`: the same life before it. */
export function newsOf(
  id: string,
  earlier: Life | undefined,
  { slot, life }: Server,
  turn: Turn | undefined,
  memory: Log,
): News[] {
  const news: News[] = []
  const { protocol, applied, machine } = life!
  const { term } = protocol.state
  if (protocol.role.type === 'leader' && leaderStands(earlier?.protocol, protocol))
    news.push({ type: 'leads', slot, id, term, log: memory.id })
  if (protocol.commit > (earlier?.protocol.commit ?? 0))
    news.push({ type: 'commits', id, term, log: memory.id, index: protocol.commit })
  if (applied !== (earlier?.applied ?? 0)) news.push({ type: 'holds', id, index: applied, state: machine })
  for (const settled of turn?.outcome.settled ?? []) {
    const isProposal = settled.id < 100
    const isRead = settled.id >= 100 && settled.id < 200
    if (settled.type === 'committed' && isProposal)
      news.push({ type: 'acknowledged', proposal: settled.id, index: settled.index, term: settled.term })
    if (settled.type === 'refused' && isProposal) news.push({ type: 'refused', proposal: settled.id })
    if (isRead && settled.type !== 'read') news.push({ type: 'dropped', read: settled.id })
  }
  for (const { id: read, state } of turn?.outcome.answered ?? []) news.push({ type: 'answered', read, state })
  return news
}
