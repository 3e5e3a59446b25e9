import type { NodeId, Outgoing } from '@raftkit/contract'
import { laneOf } from './describing.ts'
import { type Entry, headerBytes } from './entry.ts'
import type { Message } from './messages.ts'

/** What a message holds beside entries and requests: certificates of a hundred members fit in. */
export const overheadBytes = 32_768

const listBytes = (items: readonly Uint8Array[]): number => items.reduce((sum, { length }) => sum + 4 + length, 4)
const entryBytes = ({ items }: Entry): number => headerBytes + listBytes(items)

/** As they leave. `frameBytes`: of the largest frame. */
export function outgoing(
  messages: readonly { readonly to: NodeId; readonly message: Message; readonly after: number }[],
  frameBytes: number,
): Outgoing<Message>[] {
  const leaving: Outgoing<Message>[] = []
  let before: Message | undefined
  let parts: readonly Message[] = []
  for (const { to, message, after } of messages) {
    // What is said to all is looked at once.
    if (message !== before) parts = fitting(message, frameBytes - overheadBytes)
    before = message
    for (const part of parts) leaving.push({ to, incarnation: '', message: part, lane: laneOf(part), after })
  }
  return leaving
}

/**
 * The same message as one or more that a frame holds. Of entries that are too many, those stay that the receiver needs to ask for the others by
 * hash: the last of a leader's, the first of a list that goes downwards. `most`: bytes of entries or requests in one message.
 */
function fitting(message: Message, most: number): Message[] {
  switch (message.type) {
    case 'appendEntries': {
      const entries = upTo([...message.entries].reverse(), entryBytes, most).reverse()
      return [entries.length === message.entries.length ? message : { ...message, entries }]
    }
    case 'fetched': {
      const entries = upTo(message.entries, entryBytes, most)
      return [entries.length === message.entries.length ? message : { ...message, entries }]
    }
    case 'forward': {
      const messages: Message[] = []
      for (let rest = message.requests; rest.length > 0; ) {
        const requests = upTo(rest, ({ length }) => 4 + length, most)
        messages.push({ ...message, requests })
        rest = rest.slice(requests.length)
      }
      return messages
    }
    default:
      return [message]
  }
}

/** As many as fit, one at least. */
function upTo<T>(list: readonly T[], size: (one: T) => number, most: number): T[] {
  let bytes = 0
  let count = 0
  for (const one of list) {
    bytes += size(one)
    if (bytes > most && count > 0) break
    count++
  }
  return list.slice(0, count)
}
