import { Agent, request } from 'node:https'
import { join } from 'node:path'
import type { PeerCertificate } from 'node:tls'
import type { Wire } from '@raftkit/bft-client'
import { readTls, type Tls } from '@raftkit/certificates'
import { RaftkitError } from '@raftkit/contract'
import { type PrivateKey, readKey } from '@raftkit/ed25519'
import { type Genesis, type Member, urlIn } from './genesis.ts'
import { signingKey } from './organisations.ts'

/** What a client is: a certificate for the connection, and a key that signs what it writes. */
export interface Identity {
  readonly tls: Tls
  readonly key: PrivateKey
}

/** Throws `INVALID_OPTION` or `REFUSED`. */
export const readIdentity = (folder: string): Identity => ({
  tls: readTls(folder),
  key: readKey(join(folder, signingKey)),
})

/** By its name, which its certificate must show, and where. */
export type Reached = Pick<Member, 'id' | 'url'>

/** More is no answer. */
const mostAnswerBytes = 64 * 1024 * 1024

/** HTTPS to the members: both sides show certificates, and the member's must name that member, whatever host it runs on. */
export class HttpsWire implements Wire {
  readonly #genesis: Genesis
  readonly #tls: Tls
  readonly #agents: Map<string, Agent> = new Map()

  constructor(genesis: Genesis, tls: Tls) {
    this.#genesis = genesis
    this.#tls = tls
  }

  async send(id: string, ask: Uint8Array, signal: AbortSignal, place: string | undefined): Promise<Uint8Array> {
    const url = place === undefined ? this.#genesis.members.find((member) => member.id === id)!.url : urlIn(place)
    return this.#exchange({ id, url }, 'POST', '/v1/ask', signal, ask)
  }

  /** What a member says of itself; JSON. */
  async get(member: Reached, path: string, signal: AbortSignal): Promise<unknown> {
    return JSON.parse(Buffer.from(await this.#exchange(member, 'GET', path, signal)).toString())
  }

  /** What it says to that; JSON. */
  async post(member: Reached, path: string, bytes: Uint8Array, signal: AbortSignal): Promise<unknown> {
    return JSON.parse(Buffer.from(await this.#exchange(member, 'POST', path, signal, bytes)).toString())
  }

  /** Ends the idle connections, so that a program which is done can end. */
  hangUp(): void {
    for (const agent of this.#agents.values()) agent.destroy()
  }

  #agent(id: string): Agent {
    const { ca, cert, key } = this.#tls
    const wanted = `raft://${this.#genesis.cluster}/${id}`
    const agent =
      this.#agents.get(id) ??
      new Agent({
        ...{ ca, cert, key, minVersion: 'TLSv1.3', keepAlive: true, maxSockets: 64 },
        checkServerIdentity: (_host, shown) => flawOfCertificate(shown, wanted),
      })
    this.#agents.set(id, agent)
    return agent
  }

  #exchange(
    { id, url }: Reached,
    method: 'GET' | 'POST',
    path: string,
    signal: AbortSignal,
    body?: Uint8Array,
  ): Promise<Uint8Array> {
    const agent = this.#agent(id)
    return new Promise((resolve, reject) => {
      const lost = (error: Error): void =>
        reject(new RaftkitError('TRANSPORT_FAILED', `${id}: ${error.message}`, { cause: error, retryable: true }))
      const headers = body ? { 'content-type': 'application/octet-stream', 'content-length': body.length } : {}
      const outgoing = request(new URL(path, url), { method, agent, headers, signal })
      outgoing.on('error', lost)
      outgoing.on('response', (incoming) => {
        const chunks: Buffer[] = []
        let bytes = 0
        incoming.on('error', lost)
        incoming.on('data', (chunk: Buffer) => {
          chunks.push(chunk)
          bytes += chunk.length
          if (bytes > mostAnswerBytes) incoming.destroy(new Error(`it answers more than ${mostAnswerBytes} bytes`))
        })
        incoming.on('end', () => {
          if (incoming.statusCode === 200) resolve(new Uint8Array(Buffer.concat(chunks)))
          else lost(new Error(`it answered ${incoming.statusCode}: ${Buffer.concat(chunks).toString().slice(0, 200)}`))
        })
      })
      outgoing.end(body)
    })
  }
}

function flawOfCertificate({ subjectaltname = '' }: PeerCertificate, wanted: string): Error | undefined {
  const names = subjectaltname.split(', ')
  return names.includes(`URI:${wanted}`) ? undefined : new Error(`its certificate is not that of ${wanted}`)
}
