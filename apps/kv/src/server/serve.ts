import { setMaxListeners } from 'node:events'
import { jointConsensus } from '@raftkit/membership'
import type { FastifyInstance } from 'fastify'
import { createNode } from 'raftkit'
import { kv } from '../machine/machine.ts'
import { ending } from './ending.ts'
import { followFiles } from './follow-files.ts'
import { httpServer } from './http.ts'
import { readPem } from './listener.ts'
import type { Resolved } from './settings.ts'

export interface Served {
  /** Where HTTP is reached. */
  readonly url: string
  /** Not ready any more, leadership handed over, what is pending answered, storage closed. Idempotent. */
  readonly stop: () => Promise<void>
  /** Settles when it was stopped, or rejects with what made the replica fail. */
  readonly ended: Promise<void>
}

export type Say = (line: string) => void

/** How long a member that leaves waits for the hand-over, and for requests that are still going on. Milliseconds. */
const grace = 2_000

/** One member: its node and its HTTP server. Rejects if either cannot start; nothing is left open then. */
export async function serve(settings: Resolved, say: Say): Promise<Served> {
  const { id, cluster, members, join, address, storage, peers, http, timeout } = settings
  const node = await createNode({
    id,
    cluster,
    machine: kv,
    storage,
    transport: peers.transport,
    membership: jointConsensus(),
    timeout,
    closeTimeout: grace,
    ...(members && { members }),
    ...(join && { join }),
    ...(address && { address }),
    ...(settings.electionTimeout && { timing: { electionTimeout: settings.electionTimeout } }),
    ...(settings.leaseDrift && { leases: { drift: settings.leaseDrift } }),
    snapshots: {
      ...(settings.snapshotEntries && { everyEntries: settings.snapshotEntries }),
      ...(settings.trailingEntries && { trailingEntries: settings.trailingEntries }),
    },
  })
  const leaving = new AbortController()
  // Every watch listens.
  setMaxListeners(0, leaving.signal)
  let app: FastifyInstance
  let url: string
  try {
    const pem = http.tls && readPem(http.tls)
    app = await httpServer({ ...http, node, cluster, timeout, leaving: leaving.signal, pem, say })
    for (const warning of http.warnings ?? []) say(warning)
    url = await app.listen({ host: http.host, port: http.port })
    // Fastify does not look at the server that it is given.
    if (http.tls) url = url.replace(/^http:/, 'https:')
  } catch (error) {
    await node.close()
    throw error
  }
  const { server } = app
  followFiles({ ...http, peers }, server, leaving.signal, say)

  const { ended, well, badly } = ending()
  const close = async () => {
    leaving.abort()
    const status = node.status()
    if (status.role === 'leader' && Object.values(status.links).includes('up')) {
      // Before the door closes: callers that are still here are answered through the new leader.
      await node
        .transferLeadership(undefined, { timeout: grace })
        .catch((error) => say(`could not hand over: ${error.message}`))
    }
    const patience = setTimeout(() => server.closeAllConnections(), grace)
    await app.close()
    clearTimeout(patience)
    await node.close()
    well()
  }
  let closing: Promise<void> | undefined
  const stop = () => (closing ??= close())

  node.on('role', ({ role, term, reason }) => say(`${role} of term ${term}: ${reason}`))
  node.on('warning', ({ code, reason }) => say(`${code}: ${reason}`))
  node.on('removed', () => say('the cluster says that this member is no part of it any more'))
  node.on('stopped', ({ error }) => {
    say(`stopped: ${error.message}`)
    badly(error)
    void stop()
  })
  say(`serving ${url}`)
  return { url, stop, ended }
}
