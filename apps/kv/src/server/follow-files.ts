import { type Stats, unwatchFile, watchFile } from 'node:fs'
import type { Server } from 'node:http'
import { Server as TlsServer } from 'node:tls'
import type { Front } from './front.ts'
import { readPem } from './listener.ts'
import type { Peers } from './peers.ts'

/** How often files are looked at. Milliseconds. */
const looksEvery = 1_000

/**
 * Takes the access file, certificates and the list of denied ones anew when they change, without a restart: a token that is taken out of
 * the file is good for no further request, and the connections of a peer that is denied are cut.
 * Files that cannot be used are told of, and those before stay in force.
 */
export function followFiles(
  { access, tls, peers }: Pick<Front, 'access' | 'tls'> & { readonly peers: Peers },
  server: Server,
  leaving: AbortSignal,
  say: (line: string) => void,
): void {
  const follow = (files: readonly (string | undefined)[], take: () => void) => {
    for (const file of files) {
      if (file === undefined) continue
      const look = (now: Stats, before: Stats) => {
        // It is not there, as told at first, and need not be.
        if (now.mtimeMs === 0 && before.mtimeMs === 0) return
        try {
          take()
          say(`${file} changed and was read again`)
        } catch (error) {
          say(`${file} changed, and what was there before stays in force: ${(error as Error).message}`)
        }
      }
      watchFile(file, { persistent: false, interval: looksEvery }, look)
      leaving.addEventListener('abort', () => unwatchFile(file, look))
    }
  }
  if (peers.follow) follow(peers.follow.files, peers.follow.reload)
  if (access) follow([access.file], () => access.reload())
  if (tls && server instanceof TlsServer) {
    // Connections that stand stay as they are.
    follow([tls.cert, tls.key, tls.ca], () => server.setSecureContext({ ...readPem(tls), minVersion: 'TLSv1.3' }))
  }
}
