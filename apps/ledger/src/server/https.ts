import type { TLSSocket } from 'node:tls'
import { answering } from '@raftkit/bft-client'
import { toHex } from '@raftkit/bytes'
import type { Tls } from '@raftkit/certificates'
import { type FastifyInstance, fastify } from 'fastify'
import type { Node, NodeStatus } from 'raftkit'
import type { ledger } from '../machine.ts'
import { answerRead } from '../reading.ts'
import type { Archive } from './archive.ts'
import type { EvidenceFolder } from './evidence-folder.ts'
import type { Lie } from './lies.ts'

export interface Serving {
  readonly node: Node<typeof ledger>
  readonly tls: Tls
  readonly lie: Lie | undefined
  readonly evidence: EvidenceFolder
  readonly archive: Archive
}

/** A request of 64 entries of the largest size, and what stands around them. */
const mostAskBytes = 5 * 1024 * 1024

/** What a member says of itself. Nobody has to believe it. */
export interface MemberStatus {
  readonly id: string
  readonly role: string
  readonly state: string
  readonly term: number
  readonly leader: string | null
  readonly commit: number
  readonly applied: number
  readonly entries: number
  readonly hash: string
  /** What it holds of the others. */
  readonly peers: NodeStatus['peers']
}

/** Of an exchange of members: without a reason, it is done. */
export interface ChangeAnswer {
  readonly refused?: string
}

/** For clients that show a certificate of this cluster's authority which is not denied, and for nobody else. Not listening yet. */
export function httpsServer({ node, tls, lie, evidence, archive }: Serving): FastifyInstance {
  const { ca, cert, key } = tls
  const app = fastify({
    bodyLimit: mostAskBytes,
    forceCloseConnections: 'idle',
    https: { ca, cert, key, minVersion: 'TLSv1.3', requestCert: true, rejectUnauthorized: true },
  }) as unknown as FastifyInstance
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  )

  const denied = new Set(tls.deny)
  app.server.on('secureConnection', (socket: TLSSocket) => {
    const { fingerprint256, subjectaltname = '' } = socket.getPeerCertificate()
    const names = subjectaltname.split(', ').map((name) => name.replace(/^URI:/, ''))
    if ([fingerprint256, ...names].some((shown) => denied.has(shown))) socket.destroy()
  })

  const honest = {
    submit: node.submit.bind(node),
    // What is kept is shorter than what the member itself would give, which goes up to its newest certificate.
    receipt: async (index: number) => (await archive.receipt(index)) ?? node.receipt(index),
    status: () => node.status(),
    read: (question: Uint8Array) => answerRead(node, question),
  }
  const answer = answering({ ...honest, ...lie?.answers?.(honest) })
  app.post<{ Body: Buffer }>('/v1/ask', async (request, reply) => {
    const gone = new AbortController()
    reply.raw.on('close', () => gone.abort())
    const bytes = await answer(new Uint8Array(request.body), gone.signal)
    return reply.type('application/octet-stream').send(Buffer.from(bytes))
  })

  app.post<{ Body: Buffer }>('/v1/members', async (request): Promise<ChangeAnswer> => {
    try {
      await node.members.change(new Uint8Array(request.body))
      return {}
    } catch (error) {
      return { refused: (error as Error).message }
    }
  })

  app.get('/v1/status', async (): Promise<MemberStatus> => {
    const { id, role, state, term, leader, commit, machineApplied, peers } = node.status()
    const { entries, hash } = await node.queries.tip(undefined, { consistency: 'stale' })
    return { id, role, state, term, leader: leader ?? null, commit, applied: machineApplied, entries, hash, peers }
  })

  app.get(
    '/v1/evidence',
    async (): Promise<{ name: string; bytes: string }[]> =>
      evidence.all().map(({ name, bytes }) => ({ name, bytes: toHex(bytes) })),
  )

  app.get('/v1/hash', async () => {
    const { index, hash } = await node.hash()
    return { id: node.id, index, hash: toHex(hash) }
  })

  app.get('/livez', async (_request, reply) => {
    const { state } = node.status()
    return reply.code(state === 'failed' ? 503 : 200).send({ live: state !== 'failed', state })
  })
  return app
}
