import { decodeRequest, type Message } from '@raftkit/bft'
import type { NodeId } from '@raftkit/contract'
import { type Behaviour, others, type Stage } from './stage.ts'

/* What a member can do by saying nothing, or too late. Nobody can prove any of it. */

const leads = ({ members, self }: Stage, message: Message): boolean =>
  message.type === 'appendEntries' && members.leader(message.term) === self

/** In its own terms it says nothing at all. */
export const silentLeader: Behaviour = (stage) => {
  let own = -1
  return {
    says(_, message) {
      if (message.type === 'appendEntries') own = message.term
      const term = message.type === 'vote' ? message.place.term : message.type === 'appendEntries' ? message.term : -1
      if (term < 0 || term !== own) return message
      stage.did('F25')
      return undefined
    },
  }
}

/** Whatever it can say that is true and of no use. */
export const idleLeader: Behaviour = (stage) => ({
  says(_, message) {
    if (!leads(stage, message) || message.type !== 'appendEntries') return message
    stage.did('F26')
    const [certificate] = stage.knowledge.certificates.slice(-1)
    if (certificate !== undefined) return { type: 'certified', certificate }
    return { type: 'preVote', epoch: message.epoch, term: message.term }
  },
})

export const slowLeader: Behaviour = (stage) => ({
  says(to, message) {
    if (!leads(stage, message)) return message
    stage.did('F27')
    stage.later(stage.timeout * 0.8, () => stage.say(to, message))
    return undefined
  },
})

/** The client of the first request that it sees. */
export const censor: Behaviour = (stage) => {
  let victim: string | undefined
  return {
    takes(request) {
      let client: string
      try {
        client = decodeRequest(request).client.join()
      } catch {
        return true
      }
      victim ??= client
      if (client !== victim) return true
      stage.did('F28')
      return false
    },
  }
}

/** With itself they are a quorum; all others learn nothing from it. */
export const selective: Behaviour = (stage) => {
  const rest = others(stage)
  const chosen = new Set<NodeId>()
  while (chosen.size < stage.members.quorum - 1)
    chosen.add(rest.splice(Math.floor(stage.random() * rest.length), 1)[0]!)
  return {
    says(to, message) {
      if (chosen.has(to)) return message
      stage.did('F29')
      return undefined
    },
  }
}
