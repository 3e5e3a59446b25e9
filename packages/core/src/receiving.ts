import { isRaftkitError, type Sender } from '@raftkit/contract'
import { onRequestVote, onTimeoutNow, onVote } from './election.ts'
import { onAppendEntries, onRemoved } from './following.ts'
import { onFound } from './founding.ts'
import { onHandOver, onHandOverRefused } from './hand-over.ts'
import type { Message } from './messages.ts'
import { onForward, onForwardResult } from './proposals.ts'
import type { Raft } from './raft.ts'
import { onReadIndex, onReadIndexResult } from './reads.ts'
import { onAppended, onRejected } from './replication.ts'
import { onChunk, onFetchSnapshot, onOffer } from './snapshots.ts'

/**
 * Terms rise by one with each election. A thousand a second would take 34 years to get so far ahead: whoever says so counts wrong, and to believe
 * it would leave no numbers to go on with. Who comes has no term yet, and takes any.
 */
const farthest = 2 ** 40

/** What another server says, if it is of this cluster. A message that cannot be what a server says is ignored, and told of. */
export function receive(raft: Raft, from: Sender, genesis: string, message: Message): void {
  const mine = raft.state.genesis
  if (message.type === 'found') return onFound(raft, from, message)
  if (mine === '') {
    // A server without a cluster joins the one whose leader sends it records: that leader lists it.
    if (genesis === '' || (message.type !== 'appendEntries' && message.type !== 'offerSnapshot')) return
    raft.adoptGenesis(genesis)
  } else if (genesis !== mine) {
    return raft.happen({ type: 'ignored', from: from.id, reason: 'it belongs to another cluster' })
  }
  const { term } = raft.state
  if ('term' in message && term > 0 && message.term - term > farthest)
    return raft.happen({
      type: 'ignored',
      from: from.id,
      reason: `no elections lead from term ${term} to ${message.term}`,
    })
  try {
    handle(raft, from, message)
  } catch (error) {
    if (!isRaftkitError(error, 'MALFORMED')) throw error
    raft.happen({ type: 'ignored', from: from.id, reason: error.message })
  }
}

/** Each message and the rule it goes to. */
function handle(raft: Raft, from: Sender, message: Exclude<Message, { type: 'found' }>): void {
  switch (message.type) {
    case 'requestVote':
      return onRequestVote(raft, from, message)
    case 'vote':
      return onVote(raft, from, message)
    case 'appendEntries':
      return onAppendEntries(raft, from, message)
    case 'appended':
      return onAppended(raft, from, message)
    case 'rejected':
      return onRejected(raft, from, message)
    case 'offerSnapshot':
      return onOffer(raft, from, message)
    case 'fetchSnapshot':
      return onFetchSnapshot(raft, from, message)
    case 'snapshotChunk':
      return onChunk(raft, from, message)
    case 'timeoutNow':
      return onTimeoutNow(raft, from, message)
    case 'handOver':
      return onHandOver(raft, from, message)
    case 'handOverRefused':
      return onHandOverRefused(raft, message)
    case 'forward':
      return onForward(raft, from, message)
    case 'forwardResult':
      return onForwardResult(raft, message)
    case 'readIndex':
      return onReadIndex(raft, from, message)
    case 'readIndexResult':
      return onReadIndexResult(raft, message)
    case 'removed':
      return onRemoved(raft, message.index)
  }
}
