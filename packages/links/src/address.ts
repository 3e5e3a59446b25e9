import { RaftkitError } from '@raftkit/contract'

export interface Address {
  readonly host: string
  readonly port: number
}

/** `host:port`; an IPv6 host in brackets. Throws `INVALID_OPTION`. */
export function parseAddress(text: string, least: 0 | 1): Address {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || port < least || port > 65_535)
    throw new RaftkitError('INVALID_OPTION', `${JSON.stringify(text)} is no address: write host:port, or [::1]:port`)
  return { host, port }
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Judged by the name alone: what a name resolves to may change. */
export function isLoopback({ host }: Address): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)
}
