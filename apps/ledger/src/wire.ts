import { Agent, request } from 'node:https'
import { join } from 'node:path'
import type { PeerCertificate } from 'node:tls'
import type { Wire } from '@raftkit/bft-client'
import { readTls, type Tls } from '@raftkit/certificates'
import { RaftkitError } from '@raftkit/contract'
import { type PrivateKey, readKey } from '@raftkit/ed25519'
import type { Genesis, GenesisMember } from './genesis.ts'
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

/** More is no answer. */
const mostAnswerBytes = 64 * 1024 * 1024

/** HTTPS to the members: both sides show certificates, and the member's must name that member, whatever host it runs on. */
export class HttpsWire implements Wire {
  readonly #members: ReadonlyMap<string, { readonly member: GenesisMember; readonly agent: Agent }>

  constructor({ cluster, members }: Genesis, { ca, cert, key }: Tls) {
    const agentOf = ({ id }: GenesisMember) =>
      new Agent({
        ...{ ca, cert, key, minVersion: 'TLSv1.3', keepAlive: true, maxSockets: 64 },
        checkServerIdentity: (_host, shown) => flawOfCertificate(shown, `raft://${cluster}/${id}`),
      })
    this.#members = new Map(members.map((member) => [member.id, { member, agent: agentOf(member) }]))
  }

  async send(id: string, ask: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    return this.#exchange(id, 'POST', '/v1/ask', signal, ask)
  }

  /** What a member says of itself; JSON. */
  async get(id: string, path: string, signal: AbortSignal): Promise<unknown> {
    return JSON.parse(Buffer.from(await this.#exchange(id, 'GET', path, signal)).toString())
  }

  /** Ends the idle connections, so that a program which is done can end. */
  hangUp(): void {
    for (const { agent } of this.#members.values()) agent.destroy()
  }

  #exchange(
    id: string,
    method: 'GET' | 'POST',
    path: string,
    signal: AbortSignal,
    body?: Uint8Array,
  ): Promise<Uint8Array> {
    const { member, agent } = this.#members.get(id)!
    return new Promise((resolve, reject) => {
      const lost = (error: Error): void =>
        reject(new RaftkitError('TRANSPORT_FAILED', `${id}: ${error.message}`, { cause: error, retryable: true }))
      const headers = body ? { 'content-type': 'application/octet-stream', 'content-length': body.length } : {}
      const outgoing = request(new URL(path, member.url), { method, agent, headers, signal })
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
