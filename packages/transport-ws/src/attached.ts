import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { RaftkitError } from '@raftkit/contract'
import { Refusal } from '@raftkit/links'
import { turnAway } from './gate.ts'
import type { UpgradeServer } from './server.ts'

type Take = (request: IncomingMessage, socket: Socket, head: Buffer) => void

/** The upgrades of one server of the app: those of our paths are ours, and all others the app's. */
class Upgrades {
  readonly #server: UpgradeServer
  readonly #paths = new Map<string, Take>()

  constructor(server: UpgradeServer) {
    this.#server = server
  }

  add(path: string, take: Take): () => void {
    if (this.#paths.has(path))
      throw new RaftkitError(
        'TRANSPORT_FAILED',
        `another node listens at ${path} of this server: give each its own path`,
      )
    if (this.#paths.size === 0) this.#server.on('upgrade', this.#hear as (...of: unknown[]) => void)
    this.#paths.set(path, take)
    return () => {
      this.#paths.delete(path)
      if (this.#paths.size === 0) this.#server.off('upgrade', this.#hear as (...of: unknown[]) => void)
    }
  }

  readonly #hear = (request: IncomingMessage, socket: Socket, head: Buffer): void => {
    const [pathname = ''] = (request.url ?? '').split('?', 1)
    const path = pathname.slice(0, pathname.lastIndexOf('/'))
    const take = this.#paths.get(path) ?? this.#paths.get(pathname)
    if (take) take(request, socket, head)
    // Nobody else would answer it.
    else if (this.#server.listenerCount('upgrade') === 1)
      turnAway(
        socket.on('error', () => {}),
        nobodyThere,
      )
  }
}

const nobodyThere = new Refusal('malformed', 'nothing at this path of this server takes an upgrade')
const known = new WeakMap<UpgradeServer, Upgrades>()

/** Takes the upgrades below `path`, until what it returns is called. Throws `TRANSPORT_FAILED`. */
export function attach(server: UpgradeServer, path: string, take: Take): () => void {
  const upgrades = known.get(server) ?? new Upgrades(server)
  known.set(server, upgrades)
  return upgrades.add(path, take)
}
