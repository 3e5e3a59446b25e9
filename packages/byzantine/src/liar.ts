import type { Digest, Members, Message } from '@raftkit/bft'
import type { NodeId } from '@raftkit/contract'
import type { FaultName } from './faults.ts'
import type { Knowledge } from './knowledge.ts'
import type { Act, Behaviour, Said, Stage } from './stage.ts'

/** What a liar needs of whoever runs it. */
export interface Host {
  readonly members: Members
  readonly digest: Digest
  readonly self: NodeId
  readonly knowledge: Knowledge
  readonly timeout: number
  random(): number
  sign(bytes: Uint8Array, then: (signature: Uint8Array) => void): void
  send(to: NodeId, said: Said): void
  later(delay: number, run: () => void): void
  did(fault: FaultName): void
}

/** Several behaviours, one behind the other: what one says, the next may change again. */
export class Liar {
  readonly #host: Host
  readonly #acts: readonly Act[]

  constructor(host: Host, behaviours: readonly Behaviour[]) {
    this.#host = host
    const me = host.members.signer(host.self)!
    this.#acts = behaviours.map((behaviour, at) => {
      const stage: Stage = {
        members: host.members,
        digest: host.digest,
        self: host.self,
        me,
        knowledge: host.knowledge,
        timeout: host.timeout,
        random: () => host.random(),
        sign: (bytes, then) => host.sign(bytes, then),
        say: (to, said) => this.#pass(at + 1, to, said),
        later: (delay, run) => host.later(delay, run),
        did: (fault) => host.did(fault),
      }
      return behaviour(stage)
    })
  }

  /** The honest protocol would say this. */
  says(to: NodeId, message: Message): void {
    this.#host.knowledge.learn(message)
    this.#pass(0, to, message)
  }

  /** What the honest protocol hears of it. */
  hears(from: NodeId, message: Message): Message | undefined {
    this.#host.knowledge.learn(message)
    let heard: Message | undefined = message
    for (const act of this.#acts) if (heard !== undefined && act.hears) heard = act.hears(from, heard)
    return heard
  }

  takes(request: Uint8Array): boolean {
    return this.#acts.every((act) => act.takes?.(request) ?? true)
  }

  replies(result: Uint8Array): Uint8Array {
    return this.#acts.reduce((so, act) => act.replies?.(so) ?? so, result)
  }

  #pass(from: number, to: NodeId, said: Said): void {
    let now: Said | undefined = said
    for (const act of this.#acts.slice(from)) {
      if (now instanceof Uint8Array) break
      if (now !== undefined && act.says) now = act.says(to, now)
    }
    if (now !== undefined) this.#host.send(to, now)
  }
}
