import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ending, UsageError } from '@raftkit/app-kv'
import { certifiedRaft, type Trust } from '@raftkit/bft'
import { toHex } from '@raftkit/bytes'
import { readTls } from '@raftkit/certificates'
import { ed25519, readKey, sha256 } from '@raftkit/ed25519'
import { walStorage } from '@raftkit/storage-wal'
import { grpcTransport } from '@raftkit/transport-grpc'
import { createNode, type Node } from 'raftkit'
import { type Genesis, type Member, membersOf, readMember, votersOf } from '../genesis.ts'
import { ledger } from '../machine.ts'
import { memberFile, signingKey } from '../organisations.ts'
import { Archive } from './archive.ts'
import { dialling } from './dialling.ts'
import { EvidenceFolder } from './evidence-folder.ts'
import { httpsServer } from './https.ts'
import { lieOf } from './lies.ts'

export interface ServeOptions {
  readonly genesis: Genesis
  /** The founders, and who came after them as far as it is known here: whom to dial for the others. */
  readonly trust: Trust
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
  /** Settles when it was stopped, or is a member no longer; or rejects with what made the replica fail. */
  readonly ended: Promise<void>
}

/** One member: its node, and HTTPS for clients. Rejects if either cannot start; nothing is left open then. */
export async function serve(options: ServeOptions, say: (line: string) => void): Promise<Served> {
  const { genesis, trust, id, identity, data, electionTimeout } = options
  const lie = options.lie === undefined ? undefined : lieOf(options.lie, genesis, counted(say))
  if (lie)
    say(`THIS MEMBER LIES (--lie ${options.lie}): ${lie.does}. Never do this to a ledger that anybody relies on.`)
  const key = readKey(join(identity, signingKey))
  const isOwn = (member: Member): boolean => member.id === id && member.key === toHex(key.public)
  const founder = genesis.members.find(isOwn)
  const own = founder ?? newcomer(options)
  if (!isOwn(own)) throw new UsageError(`${memberFile(identity)} is for another key than ${signingKey}`)
  // Whom to ask for what happened since the founding, if this one does not know.
  const others = membersOf(genesis, trust.epochs.at(-1)!).filter((member) => member.id !== id)
  const archive = await Archive.open(join(data, 'receipts'), say)
  const { operators } = trust.epochs[0]!
  const kind = certifiedRaft({
    ...{ members: votersOf(genesis), digest: sha256, ...(operators && { operators }) },
    archive: (committed) => archive.keep(committed),
  })
  const node = await createNode({
    id,
    cluster: genesis.cluster,
    machine: ledger,
    members: Object.fromEntries((founder ? genesis.members : [...others, own]).map((one) => [one.id, one.address])),
    address: own.address,
    ...(founder === undefined && { join: true }),
    storage: walStorage(data),
    transport: dialling(grpcTransport({ tls: () => readTls(identity) })),
    protocol: lie?.protocol(kind) ?? kind,
    signatures: ed25519(key),
    timing: { electionTimeout },
  }).catch(async (error) => {
    await archive.close()
    throw error
  })
  const { url } = own
  const evidence = new EvidenceFolder(join(data, 'evidence'))
  node.on('accused', ({ who, lie, what, evidence: bytes }) => {
    say(`${who} LIED, and it is proved (${lie}: ${what}); the evidence is ${evidence.keep({ lie, who }, bytes)}`)
  })
  const app = httpsServer({ node, tls: readTls(identity), lie, evidence, archive })
  try {
    const { hostname, port } = new URL(url)
    await app.listen({ host: hostname, port: Number(port) })
  } catch (error) {
    await node.close()
    await archive.close()
    throw error
  }

  const { ended, well, badly } = ending()
  const close = async () => {
    app.server.closeIdleConnections()
    const patience = setTimeout(() => app.server.closeAllConnections(), 1_000)
    await Promise.all([app.close(), node.close()])
    clearTimeout(patience)
    await archive.close()
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
  const leave = () => {
    say(`this is a member no longer: the others go on without ${id}. What it holds stays in ${data}`)
    void stop()
  }
  node.on('removed', leave)
  say(`serving ${url}${founder || isMember(node) ? '' : ', and waits for the operators to make it a member'}`)
  if (node.status().removed) leave()
  return { url, stop, ended }
}

/** Who it is, and where, no genesis says. */
function newcomer({ genesis, id, identity }: ServeOptions): Member {
  const file = memberFile(identity)
  const founders = genesis.members.map((member) => member.id).join(', ')
  if (!existsSync(file))
    throw new UsageError(`--id: ${id} is none of ${founders} under its key, and there is no ${file}`)
  const own = readMember(file)
  if (own.id !== id) throw new UsageError(`--id: ${file} is of ${own.id}, not of ${id}`)
  return own
}

const isMember = (node: Node<typeof ledger>): boolean =>
  node.status().config.members.some(({ id }) => id === node.id) && !node.status().removed

/** Says so once of each fault, and then now and then: a liar lies with every message. */
function counted(say: (line: string) => void): (fault: string) => void {
  const counts = new Map<string, number>()
  return (fault) => {
    const count = (counts.get(fault) ?? 0) + 1
    counts.set(fault, count)
    if (Number.isInteger(Math.log10(count))) say(`LIED: ${fault}, ${count} times`)
  }
}
