import { type Message, type Place, termVoteStatement, voteStatement } from '@raftkit/bft'
import type { NodeId, Term } from '@raftkit/contract'
import { lead, mandate } from './signing.ts'
import { type Behaviour, pick, type Stage } from './stage.ts'

/**
 * Random faults, structured by rounds, with small mutations of real messages (ByzzFuzz, OOPSLA 2023): in the rounds it chose, it says to
 * the members it chose something that nearly fits: a term or an index beside the right one, or a value from before.
 */
export function smallMutations(share: number): Behaviour {
  return (stage) => {
    const rounds = new Map<string, { readonly victims: ReadonlySet<NodeId>; readonly how: number } | undefined>()
    const fate = (message: Message): { victims: ReadonlySet<NodeId>; how: number } | undefined => {
      const round = roundOf(message)
      if (!rounds.has(round)) {
        const chosen = stage.members.list.filter(() => stage.random() < 0.5).map(({ id }) => id)
        const how = Math.floor(stage.random() * 5)
        rounds.set(round, stage.random() < share ? { victims: new Set(chosen), how } : undefined)
      }
      return rounds.get(round)
    }
    return {
      says(to, message) {
        const lie = fate(message)
        return lie?.victims.has(to) ? mutated(stage, to, message, lie.how) : message
      },
    }
  }
}

/** Messages of one kind, term and index belong together, whoever gets them. */
export function roundOf(message: Message): string {
  switch (message.type) {
    case 'appendEntries':
      return `append ${message.term} ${message.entries.at(-1)?.header.index}`
    case 'vote':
      return `${message.phase} vote ${message.place.term} ${message.place.index}`
    case 'preVote':
    case 'requestVote':
      return `${message.type} ${message.term}`
    default:
      return message.type
  }
}

const beside = (term: Term, how: number): Term => Math.max(0, how % 2 === 0 ? term + 1 : term - 1)

function mutated(stage: Stage, to: NodeId, message: Message, how: number): Message | undefined {
  const { knowledge, members, me } = stage
  switch (message.type) {
    case 'vote': {
      const older = pick(stage, knowledge.at(message.place.index - (how % 2)))
      const places: readonly Place[] = [
        { ...message.place, term: beside(message.place.term, how) },
        { ...message.place, index: beside(message.place.index, how) },
        { ...message.place, hash: older ?? message.place.hash },
        { ...message.place, term: message.place.term + 1 },
      ]
      const place = places[how]
      if (place === undefined) return undefined
      stage.sign(voteStatement(members.domain, message.phase, place), (signature) =>
        stage.say(to, { ...message, place, signature }),
      )
      return undefined
    }
    case 'appendEntries': {
      const old = pick(stage, [...knowledge.entries.values()])
      if (how === 0) lead(stage, to, { ...message, term: message.term + 1 }, message.entries, 'F33')
      else if (how === 1 && old !== undefined) lead(stage, to, message, [old], 'F22')
      else if (how === 2) {
        const proof = pick(stage, knowledge.terms)
        if (proof !== undefined) mandate(stage, proof, (shown) => stage.say(to, { ...message, proof: shown }))
      } else if (how === 3) return { ...message, entries: message.entries.slice(0, -1) }
      return undefined
    }
    case 'preVote':
      return { ...message, term: beside(message.term, how) }
    case 'requestVote': {
      const lock = how === 4 ? undefined : knowledge.certificates.filter(({ phase }) => phase === 'append')[how]
      const term = how === 3 ? message.term + 1 : message.term
      stage.sign(termVoteStatement(members.domain, term, lock?.place), (signature) =>
        stage.say(to, { ...message, term, lock, vote: { signer: me, lock: lock?.place, signature } }),
      )
      return undefined
    }
    default:
      return how === 0 ? undefined : (pick(stage, knowledge.messages) ?? message)
  }
}
