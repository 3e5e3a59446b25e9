import { RaftkitError } from '@raftkit/contract'
import { type Carrier, formatAddress, type LinkOptions, type Terms } from '@raftkit/links'
import { checkPath, schemes, urlOf } from './address.ts'
import { dial } from './dialler.ts'
import { WsListener } from './listener.ts'
import { connect } from './node-line.ts'
import type { UpgradeServer } from './server.ts'

export interface WsTransportOptions extends LinkOptions {
  /** Where the node is found on its host, the same on all nodes. Default `/raftkit`. */
  readonly path?: string
  /**
   * A server of `node:http` or `node:https` of the app, to share its port: the node takes the upgrades below `path` and leaves all others
   * to the app, who also listens, and closes. In place of `listen`.
   */
  readonly server?: UpgradeServer
  /** Pages that may connect, by their origin, such as `https://example.org`. Default none. */
  readonly origins?: readonly string[]
}

/** `aliveMs`: how often signs of life are exchanged. */
export function wsCarrier(options: WsTransportOptions, aliveMs?: number): (terms: Terms) => Carrier {
  const path = checkPath(options.path)
  const origins = new Set(options.origins)
  const { server, listen, tls, secret, insecure = false } = options
  if (server && listen !== undefined)
    throw new RaftkitError('INVALID_OPTION', 'give `server`, to share its port, or `listen`, for a port of its own')
  if (server && typeof server.listenerCount !== 'function')
    throw new RaftkitError('INVALID_OPTION', '`server` is a server of node:http or node:https')
  const open = tls !== undefined || secret !== undefined || insecure || !server
  return (terms) => {
    const { maxFrameBytes, credentials } = terms
    return {
      schemes,
      dial(attempt) {
        const { address } = attempt
        const url = urlOf(attempt, { tls: credentials !== undefined, path })
        if (credentials && !url.startsWith('wss:')) {
          attempt.failed('refused', `not dialled: ${formatAddress(address)} is without TLS, and this node has it`)
          return () => {}
        }
        return dial(attempt, {
          maxFrameBytes,
          aliveMs,
          connect: (ear) => connect(url, address, credentials, ear),
        })
      },
      attached: server !== undefined,
      listener: (reception) => new WsListener(reception, terms, { path, origins, aliveMs, server, open }),
    }
  }
}
