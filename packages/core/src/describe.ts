import type { MessageSummary } from '@raftkit/contract'
import type { Message } from './messages.ts'

/**
 * What a trace says of a message: the kind, and the numbers by which a reader follows the protocol. Nothing of what users put in:
 * of records, proposals and pieces of snapshots only how many they are.
 */
export function describe(message: Message): MessageSummary {
  const { type: kind } = message
  switch (message.type) {
    case 'requestVote': {
      const { term, pre, ballot, lastIndex, lastTerm, transfer } = message
      return { kind, term, pre, ballot, lastIndex, lastTerm, transfer }
    }
    case 'vote': {
      const { term, forTerm, pre, ballot, granted } = message
      return { kind, term, forTerm, pre, ballot, granted }
    }
    case 'appendEntries': {
      const { term, round, prevIndex, prevTerm, commit, count } = message
      return { kind, term, round, prevIndex, prevTerm, commit, count }
    }
    case 'appended': {
      const { term, round, match, received } = message
      return { kind, term, round, match, received }
    }
    case 'rejected': {
      const { term, round, prevIndex, hintIndex, hintTerm, last } = message
      return { kind, term, round, prevIndex, hintIndex, hintTerm, last }
    }
    case 'offerSnapshot': {
      const { term, round, snapshot } = message
      return { kind, term, round, name: snapshot.name, index: snapshot.index }
    }
    case 'fetchSnapshot':
      return { kind, name: message.name, offset: message.offset }
    case 'snapshotChunk':
      return { kind, name: message.name, offset: message.offset, length: message.bytes.length }
    case 'timeoutNow':
      return { kind, term: message.term }
    case 'handOver':
      return { kind, term: message.term, id: message.id, to: message.to }
    case 'handOverRefused':
      return { kind, id: message.id, code: message.code }
    case 'forward':
      return { kind, term: message.term, count: message.proposals.length }
    case 'forwardResult':
      return { kind, count: message.placements.length }
    case 'readIndex':
      return { kind, id: message.id }
    case 'readIndexResult':
      return message.index === undefined ? { kind, id: message.id } : { kind, id: message.id, index: message.index }
    case 'removed':
      return { kind, index: message.index }
    case 'found':
      return { kind, done: message.done, count: message.founders.length }
  }
}
