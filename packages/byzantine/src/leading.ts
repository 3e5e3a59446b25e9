import {
  compareRank,
  type Entry,
  headerHash,
  highestLock,
  type Message,
  span,
  type TermCertificate,
} from '@raftkit/bft'
import type { NodeId } from '@raftkit/contract'
import type { FaultName } from './faults.ts'
import { type AppendEntries, Fork, lead, mandate, withItems } from './signing.ts'
import { type Behaviour, halves, pick, type Stage } from './stage.ts'

/* What a leader can do to its followers. Each lie is signed by its own key, as the protocol wants it. */

/** Changes what is led with; `undefined` says nothing, the message itself leaves all as it is. */
export const leading =
  (begin: (stage: Stage) => (to: NodeId, message: AppendEntries) => Message | undefined): Behaviour =>
  (stage) => {
    const lie = begin(stage)
    return { says: (to, message) => (message.type === 'appendEntries' ? lie(to, message) : message) }
  }

/** Changes the last entry, if it was made in this term. */
export const proposing = (
  fault: FaultName,
  change: (stage: Stage, tip: Entry) => readonly Entry[] | undefined,
  isLive?: true,
): Behaviour =>
  leading((stage) => {
    const made = new Map<Entry, readonly Entry[] | undefined>()
    return (to, message) => {
      const tip = message.entries.at(-1)!
      if (tip.header.term !== message.term || tip.items.length === 0) return message
      if (!made.has(tip)) made.set(tip, stage.random() < 0.5 ? change(stage, tip) : undefined)
      const changed = made.get(tip)
      return changed ? lead(stage, to, message, [...message.entries.slice(0, -1), ...changed], fault, isLive) : message
    }
  })

export const twoBatches: Behaviour = leading((stage) => {
  const isOther = halves(stage)
  const fork = new Fork(stage)
  return (to, message) => {
    if (!isOther(to)) return message
    const entries = message.entries.map((entry) => fork.of(entry, message.term))
    return entries.at(-1) === message.entries.at(-1) ? message : lead(stage, to, message, entries, 'F1')
  }
})

/** Nothing is signed twice for one index: only headers tell. */
export const forkWithinTerm: Behaviour = leading((stage) => {
  const isOther = halves(stage)
  const fork = new Fork(stage)
  const held = new Map<NodeId, Entry>()
  return (to, message) => {
    const tip = message.entries.at(-1)!
    if (!isOther(to) || tip.header.term !== message.term) return message
    const before = held.get(to)
    held.set(to, tip)
    const entries = [...(before ? [before] : []), ...message.entries].map((entry) => fork.of(entry, message.term))
    const isChain = before !== undefined && tip.header.parent === headerHash(stage.digest, before.header)
    return isChain ? lead(stage, to, message, entries, 'F3') : undefined
  }
})

/** Puts another certificate together from all the term votes that liars heard, without the highest. */
export const hiddenVote: Behaviour = leading((stage) => (to, message) => {
  const { members, knowledge } = stage
  const { proof } = message
  const heard = [...(knowledge.votes.get(message.term)?.values() ?? []), ...own(stage, proof)].sort((a, b) =>
    compareRank(a.vote.lock, b.vote.lock),
  )
  const bySigner = new Map(heard.map((one) => [one.vote.signer, one]))
  const low = [...bySigner.values()].sort((a, b) => compareRank(a.vote.lock, b.vote.lock)).slice(0, members.quorum)
  if (proof === undefined || low.length < members.quorum) return message
  const votes = low.map(({ vote }) => vote).sort((a, b) => a.signer - b.signer)
  const highest = highestLock(votes)
  if (compareRank(highest, proof.lock?.place) >= 0) return message
  const lock = low.find(({ vote }) => vote.lock?.hash === highest?.hash)?.lock
  const base = knowledge.entries.get(highest?.hash ?? '')
  const genesis = highest === undefined ? [...knowledge.entries.values()].find(isFirst) : undefined
  const entries = base ? [base] : genesis ? [{ ...genesis, header: { ...genesis.header, term: message.term } }] : []
  if (entries.length === 0) return message
  const { epoch, term } = proof
  return mandate(stage, { epoch, term, votes, lock }, (shown) =>
    lead(stage, to, { ...message, proof: shown }, entries, 'F8'),
  )
})

const isFirst = ({ header }: Entry): boolean => header.index === 1

function own({ me }: Stage, proof: TermCertificate | undefined) {
  const vote = proof?.votes.find(({ signer }) => signer === me)
  return vote && proof ? [{ vote, lock: proof.lock }] : []
}

export const wrongAnchor: Behaviour = leading((stage) => {
  const { knowledge, members } = stage
  return (to, message) => {
    const { proof, term } = message
    const first = message.entries[0]!
    if (proof?.lock === undefined) return message
    const below = [...knowledge.entries.values()].filter(({ header }) => header.index < proof.lock!.place.index)
    const parent = pick(stage, below)
    const header = {
      ...first.header,
      ...{ kind: 'noop' as const, term, root: withItems(stage, first, []).header.root },
      index: (parent?.header.index ?? members.genesis.index) + 1,
      parent: parent ? headerHash(stage.digest, parent.header) : members.genesis.hash,
      position: parent ? parent.header.position + span(parent) : 1,
    }
    return lead(stage, to, message, [{ header, items: [] }], 'F9')
  }
})

/** Each of them must be turned down, or it would bind the leader to nothing. */
export const falseCertificate: Behaviour = leading((stage) => (to, message) => {
  const { proof } = message
  if (proof === undefined) return message
  const [first] = proof.votes
  const false_: readonly TermCertificate[] = [
    { ...proof, votes: proof.votes.map(() => first!) },
    { ...proof, votes: [first!, first!, ...proof.votes.slice(2)] },
    { ...proof, votes: proof.votes.slice(1) },
    { ...proof, votes: proof.votes.map((vote, at) => (at === 0 ? { ...vote, signer: 99 } : vote)) },
    { ...proof, epoch: proof.epoch + 1 },
    { ...proof, term: proof.term + 1 },
    { ...proof, lock: undefined, votes: proof.votes.map((vote) => ({ ...vote, lock: undefined })) },
    ...stage.knowledge.terms.map((older) => ({ ...older, term: proof.term })),
  ]
  const shown = pick(
    stage,
    // What it shows must be false indeed: with no lock anywhere, one of them is the truth.
    false_.filter((one) => JSON.stringify(one.votes) !== JSON.stringify(proof.votes) || one.term !== proof.term),
  )
  if (shown === undefined) return message
  return mandate(stage, shown, (proof) => {
    stage.did('F10')
    stage.say(to, { ...message, proof })
  })
})

export const forgedRequest: Behaviour = proposing('F15', (stage, tip) => {
  const item = new Uint8Array(tip.items[0]!)
  // Of an operation's last byte, so that it still is a request, and of its signature, at the end.
  const at = item.length - 1 - Math.floor(stage.random() * 60)
  item[at] = item[at]! ^ 1
  return [withItems(stage, tip, [item, ...tip.items.slice(1)])]
})

export const requestTwice: Behaviour = proposing('F20', (stage, tip) => {
  const old = [...stage.knowledge.entries.values()].find(
    ({ header, items }) => header.index < tip.header.index && items.length > 0,
  )
  const again = old && stage.random() < 0.5 ? old.items[0]! : tip.items[0]!
  return [withItems(stage, tip, [...tip.items, again])]
})

export const wrongShape: Behaviour = proposing('F21', (stage, tip) => {
  const { header } = tip
  const shapes: readonly Entry['header'][] = [
    { ...header, parent: stage.members.genesis.hash, index: header.index + 1 },
    { ...header, parent: 'ab'.repeat(32) },
    { ...header, index: header.index + 1 },
    { ...header, kind: 'evidence' },
    { ...header, kind: 'noop' },
    { ...header, position: header.position + 1 },
    { ...header, root: 'cd'.repeat(32) },
    { ...header, epoch: header.epoch + 1 },
  ]
  return [{ ...tip, header: pick(stage, shapes)! }]
})

export const overCommitted: Behaviour = leading((stage) => {
  const fork = new Map<Entry, Entry>()
  return (to, message) => {
    const tip = message.entries.at(-1)!
    const old = [...stage.knowledge.entries.values()].filter(({ header }) => header.index + 4 < tip.header.index)
    const base = pick(stage, old)
    if (base === undefined || stage.random() < 0.5) return message
    const other = fork.get(base) ?? { ...base, header: { ...base.header, time: base.header.time + 1 } }
    fork.set(base, other)
    return lead(stage, to, message, [other], 'F22')
  }
})

export const withheldBody: Behaviour = leading((stage) => (_, message) => {
  if (message.entries.every(({ items }) => items.length === 0)) return message
  stage.did('F30')
  return { ...message, entries: message.entries.map(({ header }) => ({ header, items: [] })) }
})
