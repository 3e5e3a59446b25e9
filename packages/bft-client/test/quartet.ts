import {
  decodeRequest,
  type Entry,
  encodeReceipt,
  headerHash,
  itemsRoot,
  Members,
  type Request,
  requestCheck,
  span,
  type Trust,
  voteStatement,
} from '@raftkit/bft'
import { toHex } from '@raftkit/bytes'
import { type NodeId, RaftkitError } from '@raftkit/contract'
import { ed25519, generateKey, sha256, verifier } from '@raftkit/ed25519'
import type { AnsweringMember } from '../src/answering.ts'
import { answering, type Wire } from '../src/index.ts'

const zeros = '00'.repeat(32)
const founding: Entry = {
  header: { epoch: 0, index: 0, term: 0, kind: 'config', parent: zeros, root: zeros, position: 0, time: 0 },
  items: [],
}

interface Placed {
  readonly index: number
  readonly results: readonly Uint8Array[]
  readonly receipt: Uint8Array
}

/** What a member does instead of the honest thing: it is given that, and what was asked. */
export type Lie = (honest: AnsweringMember) => Partial<AnsweringMember>

/**
 * Four members over one log that holds each request once, as certified Raft keeps it, with real signatures and receipts. An operation answers with
 * its own text in capitals.
 */
export class Quartet {
  readonly trust: Trust
  readonly wire: Wire
  readonly executed: Request[] = []
  /** How often each member was asked. */
  readonly asked: Map<NodeId, number> = new Map()
  /** What each member does wrong. */
  readonly lies: Map<NodeId, Lie> = new Map()
  leader: NodeId = 'm2'
  readonly #keys = ['m0', 'm1', 'm2', 'm3'].map((id) => ({ id, own: ed25519(generateKey()) }))
  readonly #placed: Map<string, Promise<Placed>> = new Map()
  readonly #receipts: Placed[] = []
  readonly #used: Set<string> = new Set()
  #tip = founding

  constructor() {
    const list = this.#keys.map(({ id, own }) => ({ id, key: own.key }))
    const members = new Members(sha256, 0, list, { index: 0, hash: headerHash(sha256, founding.header) })
    this.trust = { digest: sha256, epochs: [members] }
    this.wire = {
      send: async (id, ask, signal) => {
        this.asked.set(id, (this.asked.get(id) ?? 0) + 1)
        return answering({ ...this.#honest(), ...this.lies.get(id)?.(this.#honest()) })(ask, signal)
      },
    }
  }

  /** The texts of all operations in the log. */
  get log(): string[] {
    return this.executed.flatMap(({ operations }) => operations.map((operation) => Buffer.from(operation).toString()))
  }

  #honest(): AnsweringMember {
    return {
      submit: (bytes) => {
        const name = toHex(bytes)
        const placed = this.#placed.get(name) ?? this.#place(bytes)
        this.#placed.set(name, placed)
        return placed
      },
      receipt: (index) =>
        this.#receipts.find((one) => one.index <= index && index < one.index + one.results.length)?.receipt,
      status: () => ({ leader: this.leader, configIndex: 1 }),
      read: async (question) => new Uint8Array([...question, this.executed.length]),
    }
  }

  async #place(bytes: Uint8Array): Promise<Placed> {
    const request = decodeRequest(bytes)
    const members = this.trust.epochs[0]!
    const [isSigned] = await verifier().verify([requestCheck(sha256, members.genesis.hash, request)])
    if (!isSigned) throw new RaftkitError('REFUSED', 'its signature does not hold', { outcome: 'refused' })
    const name = `${toHex(request.client)} ${request.session} ${request.seq}`
    if (this.#used.has(name)) throw new RaftkitError('UNKNOWN_OUTCOME', 'its numbers were used', { outcome: 'unknown' })
    this.#used.add(name)
    this.executed.push(request)
    const { header } = this.#tip
    this.#tip = {
      header: {
        ...{ epoch: 0, term: 0, kind: 'data', time: 1_700_000_000_000, index: header.index + 1 },
        parent: headerHash(sha256, header),
        root: itemsRoot(sha256, [bytes]),
        position: header.position + span(this.#tip),
      },
      items: [bytes],
    }
    const placed = {
      index: this.#tip.header.position + 1,
      results: request.operations.map((operation) => Buffer.from(Buffer.from(operation).toString().toUpperCase())),
      receipt: await this.#certified(this.#tip),
    }
    this.#receipts.push(placed)
    return placed
  }

  async #certified({ header, items }: Entry): Promise<Uint8Array> {
    const place = { term: 0, index: header.index, hash: headerHash(sha256, header) }
    const statement = voteStatement(this.trust.epochs[0]!.domain, 'commit', place)
    const signatures = await Promise.all(
      this.#keys.slice(0, 3).map(async ({ own }, signer) => ({ signer, signature: await own.sign(statement) })),
    )
    const certificate = { phase: 'commit' as const, epoch: 0, place, signatures }
    return encodeReceipt({ certificate, headers: [header], at: 0, count: 1, before: 0, path: [], request: items[0]! })
  }
}
