import type { Lane, MessageSummary } from '@raftkit/contract'
import type { Message } from './messages.ts'

/** Entries and requests, which may be many, never hold up votes. */
export const laneOf = ({ type }: Message): Lane =>
  type === 'appendEntries' || type === 'fetched' || type === 'forward' || type === 'page' ? 'bulk' : 'control'

/** What a trace says of a message: the kind, and the numbers by which a reader follows the protocol. Nothing of what clients put in. */
export function describe(message: Message): MessageSummary {
  const { type: kind } = message
  switch (message.type) {
    case 'appendEntries': {
      const { epoch, term, entries, proof } = message
      const last = entries.at(-1)?.header.index ?? 0
      return { kind, epoch, term, last, count: entries.length, proof: proof !== undefined }
    }
    case 'vote': {
      const { epoch, phase, place } = message
      return { kind, epoch, phase, term: place.term, index: place.index, hash: place.hash.slice(0, 8) }
    }
    case 'preVote':
      return { kind, epoch: message.epoch, term: message.term }
    case 'requestVote': {
      const { epoch, term, lock } = message
      return { kind, epoch, term, lockTerm: lock?.place.term ?? -1, lockIndex: lock?.place.index ?? -1 }
    }
    case 'certified': {
      const { phase, place } = message.certificate
      return { kind, phase, term: place.term, index: place.index, hash: place.hash.slice(0, 8) }
    }
    case 'termCertified':
      return { kind, term: message.certificate.term }
    case 'fetch':
      return { kind, hash: message.hash.slice(0, 8), above: message.above }
    case 'fetched':
      return { kind, count: message.entries.length }
    case 'forward':
      return { kind, count: message.requests.length }
    case 'checkpoint':
      return { kind, index: message.checkpoint.index, root: message.checkpoint.root.slice(0, 8) }
    case 'checkpointed':
      return { kind, index: message.certificate.checkpoint.index }
    case 'fetchPages':
      return { kind, index: message.index, at: message.at }
    case 'page':
      return { kind, at: message.at, count: message.count }
    default:
      return { kind }
  }
}
