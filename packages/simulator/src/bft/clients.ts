import { encodeRequest, type Request, requestCheck } from '@raftkit/bft'
import type { Random } from '../random.ts'
import { Violation } from '../watcher.ts'
import { nameOf, type Reply } from './application.ts'
import { sha256 } from './notary.ts'
import type { BftWorld } from './world.ts'

const text = (words: string): Uint8Array => new TextEncoder().encode(words)

/** Signs as anybody signs: with its own key, whatever name it puts on top. */
function signed(world: BftWorld, key: Uint8Array, claim: Omit<Request, 'signature'>): Uint8Array {
  const unsigned = { ...claim, signature: new Uint8Array(0) }
  const { bytes } = requestCheck(sha256, world.members.genesis.hash, unsigned)
  return encodeRequest({ ...unsigned, signature: world.notary.sign(key, bytes) })
}

/** An honest client: one request after the other, each until f + 1 members give the same answer. */
export class Client {
  readonly name: string
  readonly key: Uint8Array
  readonly #world: BftWorld
  readonly #random: Random
  readonly #session: number
  #left: number
  #seq = 1
  #open: { readonly name: string; readonly bytes: Uint8Array; readonly said: Map<string, Set<number>> } | undefined
  accepted = 0

  constructor(world: BftWorld, name: string, requests: number) {
    this.#world = world
    this.name = name
    this.key = world.notary.register(name)
    this.#random = world.random.split(`client ${name}`)
    this.#session = 1 + this.#random.below(1000)
    this.#left = requests
  }

  get isDone(): boolean {
    return this.#open === undefined && this.#left === 0
  }

  /** So many more, when all is well again. */
  serve(requests: number): void {
    const isIdle = this.isDone
    this.#left += requests
    if (isIdle) this.next()
  }

  next(): void {
    if (this.#open !== undefined || this.#left === 0) return
    this.#left--
    const count = this.#random.chance(0.2) ? 1 + this.#random.below(4) : 1
    const operations = Array.from({ length: count }, (_, at) => text(`${this.name} ${this.#seq + at}`))
    const claim = { client: this.key, session: this.#session, seq: this.#seq, operations }
    this.#seq += count
    const open = {
      name: nameOf({ ...claim, signature: new Uint8Array(0) }),
      bytes: signed(this.#world, this.key, claim),
      said: new Map(),
    }
    this.#open = open
    const { voters: all } = this.#world
    // First to some, in the end to all who are members then.
    const first = this.#random.chance(0.5) ? all : this.#random.shuffle(all).slice(0, this.#faults + 1)
    this.#world.submit(this, open.bytes, first)
    const again = (): void => {
      if (this.#open !== open) return
      this.#world.submit(this, open.bytes, this.#world.voters)
      this.#world.at(this.#world.now + 400, again)
    }
    this.#world.at(this.#world.now + this.#world.timeout, again)
  }

  get #faults(): number {
    return this.#world.witness.newest.members.faults
  }

  /** Members of one epoch are counted, the newest: those of two together prove nothing. */
  hear(seat: number, name: string, { index, result }: Reply): void {
    const open = this.#open
    if (open === undefined || open.name !== name) return
    const answer = `${index} ${result.join()}`
    const said = open.said.get(answer) ?? new Set()
    open.said.set(answer, said.add(seat))
    if (this.#world.voters.filter(({ number }) => said.has(number)).length <= this.#faults) return
    this.#open = undefined
    this.accepted++
    const honest = this.#world.honest.find(({ application }) => {
      const known = application.replies.get(name)
      return known !== undefined && `${known.index} ${known.result.join()}` === answer
    })
    if (honest === undefined && !this.#world.plan.isOver)
      throw new Violation('I14', `${this.name} accepts an answer that no honest member gave`, { name, answer })
    this.#world.at(this.#world.now + this.#random.between(0, 60), () => this.next())
  }
}

/** Clients that do not behave (F16–F19). What they send may be executed or not; it must harm nobody. */
export function mallory(world: BftWorld, victim: Uint8Array): void {
  const random = world.random.split('mallory')
  const key = world.notary.register('mallory')
  let seq = 1
  const claim = (more: Partial<Request>): Omit<Request, 'signature'> => ({
    ...{ client: key, session: 1, seq, operations: [text(`mallory ${seq}`)] },
    ...more,
  })
  const tick = (): void => {
    if (world.isHealed) return
    const seats = world.voters
    for (const fault of world.plan.mallories) {
      if (!random.chance(0.3)) continue
      seq++
      world.did(fault)
      switch (fault) {
        case 'F16':
          for (const seat of seats)
            world.submit(
              undefined,
              signed(world, key, claim({ operations: [text(`mallory ${seq} to ${seat.number % 2}`)] })),
              [seat],
            )
          break
        case 'F17':
          world.submit(undefined, signed(world, key, claim({ client: victim, session: random.below(1000) })), seats)
          break
        case 'F18':
          world.submit(
            undefined,
            signed(world, key, claim({})),
            random.shuffle(seats).slice(0, world.witness.newest.members.faults + 1),
          )
          break
        case 'F19':
          for (let i = 0; i < 10; i++)
            world.submit(
              undefined,
              signed(world, key, claim({ session: random.below(1e9), seq: random.below(1e6) })),
              seats,
            )
          world.submit(undefined, signed(world, key, claim({ operations: [new Uint8Array(20_000)] })), seats)
          world.submit(undefined, new Uint8Array(random.below(500)), seats)
          break
      }
    }
    world.at(world.now + random.between(20, 200), tick)
  }
  if (world.plan.mallories.length > 0) tick()
}
