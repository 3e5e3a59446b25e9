import type { Digest, Members, Message } from '@raftkit/bft'
import type { NodeId } from '@raftkit/contract'
import type { FaultName } from './faults.ts'
import type { Knowledge } from './knowledge.ts'

/** What a liar may say: a message, or bytes that are none. */
export type Said = Message | Uint8Array

/** What a lie is made with. A liar has its own key and no other, and knows all that any liar heard. */
export interface Stage {
  /** Of its epoch: the one of now, or the last in which it was a member. */
  readonly members: Members
  /** All that it knows of, the founders' first. */
  readonly epochs: readonly Members[]
  readonly digest: Digest
  readonly self: NodeId
  readonly me: number
  readonly knowledge: Knowledge
  /** Milliseconds after which a silent leader is suspected. */
  readonly timeout: number
  /** At least 0, below 1. */
  random(): number
  /** Signs with the member's own key; perhaps later. */
  sign(bytes: Uint8Array, then: (signature: Uint8Array) => void): void
  say(to: NodeId, said: Said): void
  later(delay: number, run: () => void): void
  /** A lie was told. `isLive`: about an epoch that there is or was, and not about one that it made up. */
  did(fault: FaultName, isLive?: true): void
}

/** How a liar differs from the honest protocol that runs inside of it. What is absent it does not change. */
export interface Act {
  /** What it says instead of what the honest protocol would say to that member. Undefined: nothing, or it says it by itself. */
  says?(to: NodeId, message: Message): Message | undefined
  /** What the honest protocol gets to hear. Undefined: nothing. */
  hears?(from: NodeId, message: Message): Message | undefined
  /** Whether the honest protocol gets to see the request, as encoded. */
  takes?(request: Uint8Array): boolean
  /** What a client is told. */
  replies?(result: Uint8Array): Uint8Array
}

export type Behaviour = (stage: Stage) => Act

export const others = ({ members, me }: Stage): NodeId[] =>
  members.list.filter((_, at) => at !== me).map(({ id }) => id)

export const pick = <T>({ random }: Pick<Stage, 'random'>, list: readonly T[]): T | undefined =>
  list[Math.floor(random() * list.length)]

/** The members in two parts, which stay what they are. */
export function halves(stage: Stage): (to: NodeId) => boolean {
  const sides = new Map(stage.members.list.map(({ id }) => [id, stage.random() < 0.5]))
  // Chance may put all others on one side, and then nobody would be told another thing than the rest.
  const [first, ...others] = stage.members.list.map(({ id }) => id).filter((id) => id !== stage.self)
  if (others.every((id) => sides.get(id) === sides.get(first!))) sides.set(first!, !sides.get(first!))
  return (to) => sides.get(to) === true
}
