import { decodeValue, encodeValue, recordKind, recordLength } from '@raftkit/bytes'
import type { Index, Sender, Settled, Term } from '@raftkit/contract'
import { beginChange, refusalOf } from './configuration.ts'
import { isLeader } from './election.ts'
import type { Forward, Forwarded, ForwardResult, Placement } from './messages.ts'
import { memberKey } from './progress.ts'
import type { Raft } from './raft.ts'
import type { Leader } from './role.ts'

/** What is to be told of a proposal of this server that stands in the log of the leader of `term`, at `index`, if it is committed there. */
type Placed = Extract<Settled, { type: 'committed' }>

interface Sent {
  readonly id: number
  readonly since: number
}

/** What becomes of the proposals that were made through this server. */
export class Proposals {
  /** Ascending by index. */
  placed: Placed[] = []
  /** For the leader, with the next `take`. */
  outbox: Forwarded[] = []
  /** By the number they were forwarded under. */
  sent: Map<number, Sent> = new Map()

  place(id: number, index: Index, term: Term): void {
    let at = this.placed.length
    while (at > 0 && this.placed[at - 1]!.index > index) at--
    const placed: Placed = { type: 'committed', id, index, term }
    if (at === this.placed.length) this.placed.push(placed)
    else this.placed.splice(at, 0, placed)
  }

  fork(): Proposals {
    const copy = new Proposals()
    copy.placed = this.placed.slice()
    copy.outbox = this.outbox.slice()
    copy.sent = new Map(this.sent)
    return copy
  }
}

/** How many answers a leader remembers, at least, for each server that forwards to it. */
const rememberedForwards = 8192
/** Not one by one: the first key of a map is found by passing over all that were deleted before it. */
const forgottenAtOnce = 1024

/** What one server's forwarded proposals were answered: a repeated message is answered alike and places nothing. */
export class ForwardMemory {
  readonly #answers: Map<number, Placement> = new Map()
  /** Up to here, answers are forgotten. Such a proposal is not answered again: its fate is unknown there. */
  #forgotten = 0

  answer({ id }: Forwarded, answer: () => Placement): Placement | undefined {
    const known = this.#answers.get(id)
    if (known !== undefined) return known
    if (id <= this.#forgotten) return undefined
    const placement = answer()
    this.#answers.set(id, placement)
    if (this.#answers.size >= rememberedForwards + forgottenAtOnce) this.#forget()
    return placement
  }

  #forget(): void {
    for (const oldest of this.#answers.keys()) {
      if (this.#answers.size <= rememberedForwards) break
      this.#answers.delete(oldest)
      this.#forgotten = Math.max(this.#forgotten, oldest)
    }
  }

  get answers(): ReadonlyMap<number, Placement> {
    return this.#answers
  }

  get forgotten(): number {
    return this.#forgotten
  }

  fork(): ForwardMemory {
    const copy = new ForwardMemory()
    for (const [id, placement] of this.#answers) copy.#answers.set(id, placement)
    copy.#forgotten = this.#forgotten
    return copy
  }
}

/** What a leader answered to all who forwarded to it. It outlasts the leadership: messages that are repeated do, too. */
export class ForwardMemories {
  /** Whoever forwarded in a term up to this one may have been answered, and that is not known any more. */
  readonly forgotten: Term
  /** By member. */
  readonly of: Map<string, ForwardMemory> = new Map()

  constructor(forgotten: Term) {
    this.forgotten = forgotten
  }

  memory(from: Sender): ForwardMemory {
    const key = memberKey(from)
    const memory = this.of.get(key) ?? new ForwardMemory()
    this.of.set(key, memory)
    return memory
  }

  fork(): ForwardMemories {
    const copy = new ForwardMemories(this.forgotten)
    for (const [key, memory] of this.of) copy.of.set(key, memory.fork())
    return copy
  }
}

export type Proposal = Omit<Forwarded, 'data'> & { readonly data?: Uint8Array; readonly request?: unknown }

/** A command or a change, proposed at this server: placed if it leads, forwarded if it knows who does. */
export function propose(raft: Raft, proposal: Proposal): void {
  const { id, kind, time, seed } = proposal
  if (isLeader(raft)) {
    const placement = place(raft, raft.role, proposal)
    if ('index' in placement) raft.proposals.place(id, placement.index, placement.term)
    else raft.settle({ type: 'refused', id, code: placement.code, reason: placement.reason, ...raft.leaderHint })
    return
  }
  const size = proposal.data?.length ?? 0
  if (size > raft.settings.proposalBytes) return raft.settle({ type: 'refused', id, ...tooLarge(raft, size) })
  if (raft.leader === undefined) {
    return raft.settle({ type: 'refused', id, code: 'NO_LEADER', reason: 'no leader is known; try again in a moment' })
  }
  try {
    const data = proposal.data ?? encodeValue(proposal.request)
    raft.proposals.outbox.push({ id, kind, time, seed, data })
  } catch (error) {
    raft.settle({ type: 'refused', id, ...refusalOf(error) })
  }
}

function place(raft: Raft, leader: Leader, { id, kind, time, seed, data, request }: Proposal): Placement {
  if (leader.transfer !== undefined) {
    return { id, code: 'TRANSFERRING', reason: 'leadership is being handed over; try again in a moment' }
  }
  const { term } = raft.state
  if (kind === 'change') {
    try {
      return { id, index: beginChange(raft, leader, request, time), term }
    } catch (error) {
      return { id, ...refusalOf(error) }
    }
  }
  const payload = data!
  if (payload.length > raft.settings.proposalBytes) return { id, ...tooLarge(raft, payload.length) }
  if (leader.uncommittedBytes >= raft.settings.uncommittedBytes) {
    return { id, code: 'OVERLOADED', reason: `${leader.uncommittedBytes} bytes wait to be committed; try again later` }
  }
  const { log } = raft
  // Stamps never go back, whatever the clocks of successive leaders say.
  const index = log.append({
    kind: recordKind.command,
    term,
    time: Math.max(Math.floor(time), log.lastTime),
    seed,
    payload,
  })
  leader.uncommittedBytes += recordLength(payload.length)
  return { id, index, term }
}

const tooLarge = (raft: Raft, size: number): { code: string; reason: string } => ({
  code: 'TOO_LARGE',
  reason: `a proposal of ${size} bytes; at most ${raft.settings.proposalBytes} fit (limits.proposalBytes, and the transport's frames)`,
})

/** Hands the leader what was proposed here since the last `take`, in as few messages as fit. */
export function forwardProposals(raft: Raft): void {
  const { proposals } = raft
  if (proposals.outbox.length === 0) return
  const waiting = proposals.outbox
  proposals.outbox = []
  if (isLeader(raft) || raft.leader === undefined) {
    // Nothing has left yet, so they may as well be proposed again.
    for (const { data, ...rest } of waiting)
      propose(raft, rest.kind === 'change' ? { ...rest, request: decodeValue(data) } : { ...rest, data })
    return
  }
  let batch: Forwarded[] = []
  let bytes = 0
  const flush = (): void => {
    if (batch.length > 0) raft.send(raft.leader!, { type: 'forward', term: raft.state.term, proposals: batch }, 'bulk')
    batch = []
    bytes = 0
  }
  for (const proposal of waiting) {
    if (bytes + proposal.data.length + 64 > raft.settings.maxMessageBytes) flush()
    const number = raft.nextId()
    proposals.sent.set(number, { id: proposal.id, since: raft.now })
    batch.push({ ...proposal, id: number })
    bytes += proposal.data.length + 64
  }
  flush()
}

/**
 * Placed only by the leader of exactly the term the sender had in mind: who leads it no more never will again. So what comes for the first
 * time then is refused for good. What is repeated may stand in the log since the first time, and is answered as it was; where that is
 * forgotten, as by a restart, not at all.
 */
export function onForward(raft: Raft, from: Sender, message: Forward): void {
  const { term } = message
  if (term <= raft.forwards.forgotten || term > raft.state.term) return
  // A leader remembers its own term alone: from here on, who leads leads in `term`.
  const leader = isLeader(raft) ? raft.role : undefined
  const memory = raft.forwards.memory(from)
  const placements: Placement[] = []
  for (const proposal of message.proposals) {
    const answer = memory.answer(proposal, () => {
      const { id, kind, data } = proposal
      if (leader === undefined)
        return { id, code: 'NOT_LEADER', reason: `${raft.self.id} does not lead in term ${term}` }
      return place(raft, leader, kind === 'command' ? proposal : { ...proposal, request: decodeValue(data) })
    })
    if (answer !== undefined) placements.push(answer)
  }
  if (placements.length > 0) raft.send(from, { type: 'forwardResult', placements })
}

export function onForwardResult(raft: Raft, message: ForwardResult): void {
  for (const placement of message.placements) {
    const sent = raft.proposals.sent.get(placement.id)
    if (sent === undefined) continue
    raft.proposals.sent.delete(placement.id)
    if (!('index' in placement)) {
      raft.settle({ type: 'refused', id: sent.id, code: placement.code, reason: placement.reason, ...raft.leaderHint })
      continue
    }
    raft.proposals.place(sent.id, placement.index, placement.term)
  }
  settlePlaced(raft)
}

/** Whose index is committed: done if its own term stands there, refused if another does (design rule 9). */
export function settlePlaced(raft: Raft): void {
  const { placed } = raft.proposals
  let settled = 0
  for (; settled < placed.length && placed[settled]!.index <= raft.commit; settled++) {
    const done = placed[settled]!
    const { id, index, term } = done
    const there = raft.log.termAt(index)
    if (there === undefined) raft.settle({ type: 'unknown', id, reason: 'a snapshot took its place in the log' })
    else if (there !== term) {
      raft.settle({
        type: 'refused',
        id,
        code: 'SUPERSEDED',
        reason: `an entry of term ${there} was committed in its place`,
      })
    } else if (index <= raft.handed)
      raft.settle({ type: 'unknown', id, reason: 'it was applied before this server heard where it stood' })
    else raft.settle(done)
  }
  if (settled > 0) placed.splice(0, settled)
}

/** Forwarded, and no word: the message or its answer is lost, or the leader is gone. It may have been placed. */
export function expireForwards(raft: Raft, all: boolean): void {
  for (const [number, { id, since }] of raft.proposals.sent) {
    if (!all && raft.now < since + raft.settings.electionTimeout) continue
    raft.proposals.sent.delete(number)
    raft.settle({ type: 'unknown', id, reason: 'the leader it was forwarded to did not answer' })
  }
}
