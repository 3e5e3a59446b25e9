import { encodeEvidence, headerHash, type Message, type Place, voteStatement } from '@raftkit/bft'
import type { NodeId } from '@raftkit/contract'
import { flipped, vote } from './signing.ts'
import { type Behaviour, halves, others, pick, type Stage } from './stage.ts'

/* What any member can do with its votes. */

const poison = (stage: Stage): string =>
  Array.from({ length: 64 }, () => Math.floor(stage.random() * 16).toString(16)).join('')

/** To some the honest vote, to others one for whatever else is known at that index. */
export const twoVotes: Behaviour = (stage) => {
  const isOther = halves(stage)
  return {
    says(to, message) {
      if (message.type !== 'vote' || message.phase !== 'append') return message
      const { place } = message
      const rival = stage.knowledge.at(place.index).find((hash) => hash !== place.hash)
      // Where there is a real fork, it supports both sides, everywhere.
      if (rival !== undefined) {
        vote(stage, to, 'append', { ...place, hash: rival }, 'F4')
        return message
      }
      return isOther(to) ? vote(stage, to, 'append', { ...place, hash: poison(stage) }, 'F4') : message
    },
  }
}

export const rashCommit: Behaviour = (stage) => ({
  hears(_, message) {
    const tip = message.type === 'appendEntries' ? message.entries.at(-1) : undefined
    if (message.type !== 'appendEntries' || tip === undefined) return message
    const place: Place = { term: message.term, index: tip.header.index, hash: headerHash(stage.digest, tip.header) }
    for (const to of others(stage)) vote(stage, to, 'commit', place, 'F5')
    return message
  },
})

export const poisonedVotes: Behaviour = (stage) => ({
  says(to, message) {
    if (message.type !== 'vote') return message
    return vote(stage, to, message.phase, { ...message.place, hash: poison(stage) }, 'F24')
  },
})

/** The scenario of Cachin & Vukolić's remark: one alone commits, then the term changes. */
export const commitForOne: Behaviour = (stage) => {
  const chosen = pick(stage, others(stage))
  return {
    says(to, message) {
      if (message.type !== 'vote' || message.phase !== 'commit') return message
      if (to === chosen) return message
      stage.did('F31')
      return { type: 'preVote', epoch: stage.members.epoch, term: message.place.term + 1 }
    },
  }
}

export const damagedSignature: Behaviour = (stage) => ({
  says(to, message) {
    if (stage.random() < 0.5) return message
    if (stage.random() < 0.1) frame(stage, to, message)
    const lie = damaged(stage, message)
    if (lie !== message) stage.did('F13')
    return lie
  },
})

/** Evidence against somebody who did nothing, out of what the liar can sign: its own word, and damage. */
function frame(stage: Stage, to: NodeId, message: Message): void {
  if (message.type !== 'vote') return
  const { epoch, list } = stage.members
  const { phase, place } = message
  const rival = { ...place, hash: poison(stage) }
  stage.sign(voteStatement(stage.members.domain, phase, rival), (signature) => {
    const first = { claim: { type: phase, place }, signature: message.signature }
    const second = { claim: { type: phase, place: rival }, signature }
    const signer = Math.floor(stage.random() * list.length)
    const bytes = encodeEvidence({ type: 'contradiction', epoch, signer, first, second, headers: [] })
    stage.say(to, { type: 'evidence', bytes: stage.random() < 0.5 ? bytes : flipped(bytes, () => stage.random()) })
  })
}

function damaged(stage: Stage, message: Message): Message {
  const random = (): number => stage.random()
  const count = stage.members.list.length
  switch (message.type) {
    case 'vote':
    case 'appendEntries':
      return { ...message, signature: flipped(message.signature, random) }
    case 'requestVote': {
      const isSigner = random() < 0.5
      const signer = (message.vote.signer + 1) % count
      return {
        ...message,
        vote: isSigner
          ? { ...message.vote, signer }
          : { ...message.vote, signature: flipped(message.vote.signature, random) },
      }
    }
    case 'certified': {
      const signatures = message.certificate.signatures.map(({ signer, signature }) =>
        random() < 0.5
          ? { signer: (signer + 1) % count, signature }
          : { signer, signature: flipped(signature, random) },
      )
      return { ...message, certificate: { ...message.certificate, signatures } }
    }
    default:
      return message
  }
}

/** Once in a while what was said before, its own word and that of others. */
export const replay: Behaviour = (stage) => ({
  says(to, message) {
    if (stage.random() < 0.3) {
      const old = pick(stage, stage.knowledge.messages)
      if (old !== undefined) {
        stage.did('F11')
        stage.say(to, old)
      }
    }
    return message
  },
})

/** Lies about how far it is, and answers whoever fetches with something else. */
export const falseProgress: Behaviour = (stage) => ({
  says(to, message) {
    const { knowledge } = stage
    switch (message.type) {
      case 'fetched': {
        stage.did('F23')
        return { ...message, entries: [...knowledge.entries.values()].slice(0, 1 + Math.floor(stage.random() * 40)) }
      }
      case 'vote': {
        const certificate = pick(stage, knowledge.certificates)
        stage.did('F23')
        const place = { ...message.place, index: message.place.index + Math.floor(stage.random() * 100) }
        if (certificate !== undefined && stage.random() < 0.5)
          stage.say(to, { type: 'certified', certificate: { ...certificate, phase: 'commit', place } })
        else if (stage.random() < 0.5) stage.say(to, { type: 'fetch', hash: poison(stage), above: 2 ** 40 })
        else stage.say(to, { type: 'fetch', hash: message.place.hash, above: 0 })
        return message
      }
      default:
        return message
    }
  },
})
