import { join } from 'node:path'
import { ending } from '@raftkit/app-kv'
import { certifiedRaft } from '@raftkit/bft'
import { readTls } from '@raftkit/certificates'
import { ed25519, readKey, sha256 } from '@raftkit/ed25519'
import { walStorage } from '@raftkit/storage-wal'
import { grpcTransport } from '@raftkit/transport-grpc'
import { createNode } from 'raftkit'
import { type Genesis, votersOf } from '../genesis.ts'
import { ledger } from '../machine.ts'
import { signingKey } from '../organisations.ts'
import { EvidenceFolder } from './evidence-folder.ts'
import { httpsServer } from './https.ts'
import { lieOf } from './lies.ts'

export interface ServeOptions {
  readonly genesis: Genesis
  readonly id: string
  /** With `ca.pem`, `cert.pem`, `key.pem` and the signing key. */
  readonly identity: string
  readonly data: string
  /** Milliseconds without progress after which the leader of a term is suspected. */
  readonly electionTimeout: number
  /** Hidden, for trials: what this member does wrong. */
  readonly lie?: string | undefined
}

export interface Served {
  readonly url: string
  readonly stop: () => Promise<void>
  /** Settles when it was stopped, or rejects with what made the replica fail. */
  readonly ended: Promise<void>
}

/** One member: its node, and HTTPS for clients. Rejects if either cannot start; nothing is left open then. */
export async function serve(options: ServeOptions, say: (line: string) => void): Promise<Served> {
  const { genesis, id, identity, data, electionTimeout } = options
  const lie = options.lie === undefined ? undefined : lieOf(options.lie, genesis, counted(say))
  if (lie)
    say(`THIS MEMBER LIES (--lie ${options.lie}): ${lie.does}. Never do this to a ledger that anybody relies on.`)
  const kind = certifiedRaft({ members: votersOf(genesis), digest: sha256 })
  const node = await createNode({
    id,
    cluster: genesis.cluster,
    machine: ledger,
    members: Object.fromEntries(genesis.members.map((member) => [member.id, member.address])),
    storage: walStorage(data),
    transport: grpcTransport({ tls: () => readTls(identity) }),
    protocol: lie?.protocol(kind) ?? kind,
    signatures: ed25519(readKey(join(identity, signingKey))),
    timing: { electionTimeout },
  })
  const url = genesis.members.find((member) => member.id === id)!.url
  const evidence = new EvidenceFolder(join(data, 'evidence'))
  node.on('accused', ({ who, lie, what, evidence: bytes }) => {
    say(`${who} LIED, and it is proved (${lie}: ${what}); the evidence is ${evidence.keep({ lie, who }, bytes)}`)
  })
  const app = httpsServer({ node, tls: readTls(identity), lie, evidence })
  try {
    const { hostname, port } = new URL(url)
    await app.listen({ host: hostname, port: Number(port) })
  } catch (error) {
    await node.close()
    throw error
  }

  const { ended, well, badly } = ending()
  const close = async () => {
    app.server.closeIdleConnections()
    const patience = setTimeout(() => app.server.closeAllConnections(), 1_000)
    await Promise.all([app.close(), node.close()])
    clearTimeout(patience)
    well()
  }
  let closing: Promise<void> | undefined
  const stop = () => (closing ??= close())
  node.on('role', ({ role, term, reason }) => say(`${role} of term ${term}: ${reason}`))
  node.on('warning', ({ code, reason }) => say(`${code}: ${reason}`))
  node.on('stopped', ({ error }) => {
    say(`stopped: ${error.message}`)
    badly(error)
    void stop()
  })
  say(`serving ${url}`)
  return { url, stop, ended }
}

/** Says so once of each fault, and then now and then: a liar lies with every message. */
function counted(say: (line: string) => void): (fault: string) => void {
  const counts = new Map<string, number>()
  return (fault) => {
    const count = (counts.get(fault) ?? 0) + 1
    counts.set(fault, count)
    if (Number.isInteger(Math.log10(count))) say(`LIED: ${fault}, ${count} times`)
  }
}
