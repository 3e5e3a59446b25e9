import type { Digest, Members, Message } from '@raftkit/bft'
import type { NodeId } from '@raftkit/contract'
import type { FaultName } from './faults.ts'
import type { Knowledge } from './knowledge.ts'
import type { Act, Behaviour, Said, Stage } from './stage.ts'

/** What a liar needs of whoever runs it. */
export interface Host {
  /** That its honest protocol has come through; the last is the one of now. */
  readonly epochs: readonly Members[]
  readonly digest: Digest
  readonly self: NodeId
  readonly key: Uint8Array
  readonly knowledge: Knowledge
  readonly timeout: number
  random(): number
  sign(bytes: Uint8Array, then: (signature: Uint8Array) => void): void
  send(to: NodeId, said: Said): void
  later(delay: number, run: () => void): void
  did(fault: FaultName, isLive?: true): void
}

/** Several behaviours, one behind the other: what one says, the next may change again. */
export class Liar {
  readonly #host: Host
  readonly #behaviours: readonly Behaviour[]
  #members: Members | undefined
  #acts: readonly Act[] = []

  constructor(host: Host, behaviours: readonly Behaviour[]) {
    this.#host = host
    this.#behaviours = behaviours
  }

  /** The honest protocol would say this. */
  says(to: NodeId, message: Message): void {
    this.#enter()
    this.#host.knowledge.learn(message)
    this.#pass(0, to, message)
  }

  /** What the honest protocol hears of it. */
  hears(from: NodeId, message: Message): Message | undefined {
    this.#enter()
    this.#host.knowledge.learn(message)
    let heard: Message | undefined = message
    for (const act of this.#acts) if (heard !== undefined && act.hears) heard = act.hears(from, heard)
    return heard
  }

  takes(request: Uint8Array): boolean {
    this.#enter()
    return this.#acts.every((act) => act.takes?.(request) ?? true)
  }

  replies(result: Uint8Array): Uint8Array {
    return this.#acts.reduce((so, act) => act.replies?.(so) ?? so, result)
  }

  /** Its lies begin anew with each epoch. One that has left goes on as the member that it was, under its old key. */
  #enter(): void {
    const host = this.#host
    const { epochs } = host
    const members = [...epochs].reverse().find((each) => each.signer(host.self, host.key) !== undefined)
    if (members === undefined || members.domain === this.#members?.domain) return
    this.#members = members
    const me = members.signer(host.self)!
    this.#acts = this.#behaviours.map((behaviour, at) => {
      const stage: Stage = {
        members,
        get epochs() {
          return host.epochs
        },
        digest: host.digest,
        self: host.self,
        me,
        knowledge: host.knowledge,
        timeout: host.timeout,
        random: () => host.random(),
        sign: (bytes, then) => host.sign(bytes, then),
        say: (to, said) => this.#pass(at + 1, to, said),
        later: (delay, run) => host.later(delay, run),
        did: (fault, isLive) => host.did(fault, isLive),
      }
      return behaviour(stage)
    })
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
