import type { Message, Raft } from '@raftkit/core'

/**
 * Whether a message can have no effect on this server, now or ever after, whatever else happens: terms only rise, and the disk's own is where the
 * server would be after a crash; a ballot is never used again.
 */
export function cannotMatter(message: Message, { state, role, ballot }: Raft, durableTerm: number): boolean {
  switch (message.type) {
    case 'vote':
      return (
        message.term <= durableTerm &&
        (message.ballot < ballot ||
          (message.ballot === ballot && role.type !== 'candidate' && role.type !== 'preCandidate'))
      )
    case 'appended':
    case 'rejected':
      return (
        message.term < durableTerm ||
        (message.term === durableTerm &&
          state.term === durableTerm &&
          (role.type === 'follower' || role.type === 'preCandidate'))
      )
    default:
      return false
  }
}
