import { RaftkitError } from '@raftkit/contract'
import { type Attempt, formatAddress } from '@raftkit/links'

/** Beside `host:port`, an address may say it all: `wss://example.org/raft`. */
export const schemes: Readonly<Record<string, number>> = { 'ws:': 80, 'wss:': 443 }

const defaultPath = '/raftkit'

/** Throws `INVALID_OPTION`. */
export function checkPath(path: string = defaultPath): string {
  if (/^(\/[A-Za-z0-9._~-]+)+$/.test(path)) return path
  throw new RaftkitError('INVALID_OPTION', `path is something like ${defaultPath}, not ${JSON.stringify(path)}`)
}

/** Where one lane is dialled. `tls` and `path` are for addresses that do not say it themselves. */
export function urlOf({ address, lane }: Attempt, { tls, path }: { tls: boolean; path: string }): string {
  return `${address.url ?? `${tls ? 'wss' : 'ws'}://${formatAddress(address)}${path}`}/${lane}`
}
