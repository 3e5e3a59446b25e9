import { encodeRequest, founding, type Request, requestCheck, type Voter } from '@raftkit/bft'
import { generateKey, type PrivateKey, sha256, sign } from '@raftkit/ed25519'
import { keyBytes, keyOf, randomKeys, randomValue, valueBytes } from '../cluster/wire/keys.ts'

export const cluster = 'bench'

/** One client per slot of the load: it has a key and a session of its own, and one request under way. */
interface Client {
  readonly key: PrivateKey
  readonly session: number
  next: number
  readonly ready: Uint8Array[]
}

/** Makes requests, ahead of time as far as it was told to: what a client signs is none of the members' work, so it is not measured with it. */
export class Clients {
  readonly #genesis: string
  readonly #batch: number
  readonly #clients: readonly Client[]
  readonly #keys = randomKeys(100_000)
  readonly #operation = Buffer.from('k'.repeat(keyBytes) + randomValue(valueBytes))
  /** Signed in the middle of the load, since too few were made ahead. */
  late = 0

  constructor(members: readonly Voter[], slots: number, batch: number) {
    this.#genesis = founding(sha256, { cluster, group: 'main', members }).members.genesis.hash
    this.#batch = batch
    const session = Date.now()
    this.#clients = Array.from({ length: slots }, () => ({ key: generateKey(), session, next: 1, ready: [] }))
  }

  prepare(requests: number): void {
    for (let made = 0; made < requests; made++) {
      const client = this.#clients[made % this.#clients.length]!
      client.ready.push(this.#sign(client))
    }
    for (const client of this.#clients) client.ready.reverse()
  }

  request(slot: number): Uint8Array {
    const client = this.#clients[slot]!
    const ready = client.ready.pop()
    if (ready) return ready
    this.late++
    return this.#sign(client)
  }

  #sign(client: Client): Uint8Array {
    const operations = Array.from({ length: this.#batch }, () => {
      const operation = Buffer.from(this.#operation)
      operation.write(keyOf(this.#keys()), 'latin1')
      return operation
    })
    const { key, session } = client
    const unsigned: Request = {
      ...{ client: key.public, session, seq: client.next, operations },
      signature: new Uint8Array(0),
    }
    client.next += this.#batch
    return encodeRequest({ ...unsigned, signature: sign(key, requestCheck(sha256, this.#genesis, unsigned).bytes) })
  }
}
