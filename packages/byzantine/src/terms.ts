import { type Certificate, termVoteStatement } from '@raftkit/bft'
import { lead, mandate } from './signing.ts'
import { type Behaviour, others, type Stage } from './stage.ts'

/* What a member can do with its term votes. */

export const hiddenLock: Behaviour = (stage) => ({
  says(to, message) {
    if (message.type !== 'requestVote' || message.lock === undefined) return message
    // An older certificate, if liars have one, is a better lie than none.
    const older = stage.knowledge.certificates.find(
      ({ phase, place }) => phase === 'append' && place.index < message.lock!.place.index,
    )
    state(stage, to, message.term, stage.random() < 0.5 ? older : undefined, 'F6')
    return undefined
  },
})

function state(stage: Stage, to: string, term: number, lock: Certificate | undefined, fault: 'F6' | 'F7'): void {
  const { members, me } = stage
  stage.sign(termVoteStatement(members.domain, term, lock?.place), (signature) => {
    stage.did(fault)
    const vote = { signer: me, lock: lock?.place, signature }
    stage.say(to, { type: 'requestVote', epoch: members.epoch, term, vote, lock })
  })
}

/** Relabelled with a higher term or index (cesmi, D14), or made of nothing. */
export const falseLock: Behaviour = (stage) => ({
  says(to, message) {
    if (message.type !== 'requestVote') return message
    const { members, me, knowledge } = stage
    const base = message.lock ?? knowledge.certificates.find(({ phase }) => phase === 'append')
    const rival = [...knowledge.entries.keys()].at(Math.floor(stage.random() * knowledge.entries.size))
    const place = {
      term: message.term - 1,
      index: (base?.place.index ?? 0) + Math.floor(stage.random() * 3),
      hash: (stage.random() < 0.5 ? rival : base?.place.hash) ?? 'ab'.repeat(32),
    }
    if (base === undefined || stage.random() < 0.2) {
      stage.sign(termVoteStatement(members.domain, message.term, place), (signature) => {
        stage.did('F7')
        stage.say(to, { ...message, vote: { signer: me, lock: place, signature }, lock: base })
      })
    } else state(stage, to, message.term, { ...base, place }, 'F7')
    return undefined
  },
})

export const endlessTerms: Behaviour = (stage) => {
  let term = 2 ** 40
  return {
    says(to, message) {
      if (message.type !== 'vote') return message
      const { members, me } = stage
      const { epoch } = members
      if (stage.random() < 0.5) {
        stage.did('F32')
        stage.say(to, { type: 'preVote', epoch, term: stage.random() < 0.5 ? ++term : message.place.term + 1 })
        return message
      }
      const wanted = stage.random() < 0.5 ? ++term : message.place.term + 1
      stage.sign(termVoteStatement(members.domain, wanted, undefined), (signature) => {
        stage.did('F32')
        stage.say(to, {
          type: 'requestVote',
          epoch,
          term: wanted,
          vote: { signer: me, lock: undefined, signature },
          lock: undefined,
        })
      })
      return message
    },
  }
}

/** It leads the term of another, and its own without a certificate that it has begun. */
export const rushToLead: Behaviour = (stage) => ({
  hears(_, message) {
    if (message.type !== 'appendEntries' || stage.random() < 0.5) return message
    const { members, knowledge } = stage
    const next = Array.from(members.list, (_, ahead) => message.term + ahead).find(
      (term) => members.leader(term) === stage.self,
    )!
    const [proof] = knowledge.terms.slice(-1)
    for (const to of others(stage)) {
      lead(stage, to, message, message.entries, 'F33')
      if (proof !== undefined)
        mandate(stage, { ...proof, term: next }, (shown) =>
          lead(stage, to, { ...message, term: next, proof: shown }, message.entries, 'F33'),
        )
    }
    return message
  },
})
