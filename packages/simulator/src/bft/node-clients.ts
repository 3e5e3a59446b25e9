import { encodeRequest, requestCheck, verifyReceipt } from '@raftkit/bft'
import type { Index, NodeId } from '@raftkit/contract'
import type { Submitted } from 'raftkit'
import type { Random } from '../random.ts'
import { Violation } from '../watcher.ts'
import type { Server } from '../world/server.ts'
import type { World } from '../world/world.ts'
import type { NodeEpochs } from './node-epochs.ts'
import { type Notary, sha256 } from './notary.ts'

/** Outside of all nodes: signs, asks all members of now, believes f + 1 of them, and verifies what is proved. */
export class NodeClient {
  readonly name: string
  readonly #world: World
  readonly #epochs: NodeEpochs
  readonly #notary: Notary
  readonly #random: Random
  readonly #key: Uint8Array
  readonly #requests: number
  isDone = false
  accepted = 0
  receipts = 0

  constructor(world: World, epochs: NodeEpochs, notary: Notary, name: string, random: Random, requests: number) {
    this.name = name
    this.#world = world
    this.#epochs = epochs
    this.#notary = notary
    this.#key = notary.register(name)
    this.#random = random.split(`client ${name}`)
    this.#requests = requests
  }

  start(): void {
    this.#all().catch((error: unknown) => this.#world.watchers.fail(error))
  }

  async #all(): Promise<void> {
    for (let seq = 1; seq <= this.#requests; seq++) {
      const { request, index } = await this.#one(seq)
      this.accepted++
      this.#prove(request, index)
      await this.#world.sleep(this.#random.between(0, 100))
    }
    this.isDone = true
  }

  async #one(seq: number): Promise<{ readonly request: Uint8Array; readonly index: Index }> {
    const operations = [new TextEncoder().encode(`${this.name} ${seq}`)]
    const claim = { client: this.#key, session: 1, seq, operations, signature: new Uint8Array(0) }
    const { bytes } = requestCheck(sha256, this.#epochs.founders.genesis.hash, claim)
    const request = encodeRequest({ ...claim, signature: this.#notary.sign(this.#key, bytes) })
    // Answers of one epoch: members of two together prove nothing.
    let members = this.#epochs.now
    let said = new Map<string, Set<NodeId>>()
    let accepted: { readonly answer: string; readonly index: Index } | undefined
    const ask = async (server: Server): Promise<void> => {
      const called = await server.call((node) => node.submit(request, { timeout: 1000 }) as Promise<Submitted>)
      if (this.#epochs.now !== members) {
        members = this.#epochs.now
        said = new Map()
      }
      if (called.outcome !== 'done' || members.signer(server.id) === undefined) return
      const { index, results } = called.value
      const answer = `${index} ${results.map((result) => result.join()).join(' ')}`
      const sayers = said.get(answer) ?? new Set()
      said.set(answer, sayers.add(server.id))
      if (sayers.size <= members.faults) return
      accepted ??= { answer, index }
      const isTold = [...sayers].some((id) => this.#epochs.isHonest(id))
      if (!isTold) throw new Violation('I14', `${this.name} accepts an answer that no honest member gave`)
      if (accepted.answer !== answer) throw new Violation('I14', `${this.name} may accept two answers`)
    }
    while (accepted === undefined) {
      const asked = this.#epochs.now.list.map(({ id }) => ask(this.#world.server(id)))
      await Promise.race([Promise.all(asked), this.#world.sleep(1500)])
      await this.#world.sleep(100)
    }
    return { request, index: accepted.index }
  }

  /** Whoever hands out a receipt, it is believed for its signatures: by the members of its epoch, as the founders' lead to them. */
  #prove(request: Uint8Array, index: Index): void {
    const server = this.#random.pick([...this.#world.servers.values()])
    const epochs = this.#epochs.of(server)
    const receipt = epochs && server.node?.receipt(index)
    if (epochs === undefined || receipt === undefined) return
    const { isSigned } = this.#notary
    const proven = verifyReceipt(receipt, { digest: sha256, epochs }, (checks) => checks.map(isSigned))
    this.receipts++
    if (proven.position !== index || Buffer.compare(encodeRequest(proven.request), request) !== 0)
      throw new Violation('receipt', `${server.id} proves something else at ${index} than what was executed there`)
  }
}
