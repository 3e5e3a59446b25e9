import { RaftkitError } from '@raftkit/contract'

export interface Address {
  readonly host: string
  readonly port: number
  /** As it was written, if as a URL: for carriers that read such. */
  readonly url?: string
}

/** Schemes of URLs, each with its port, such as `{ 'wss:': 443 }`. */
export type Schemes = Readonly<Record<string, number>>

/** `host:port`, an IPv6 host in brackets; or a URL of one of the schemes. Throws `INVALID_OPTION`. */
export function parseAddress(text: string, least: 0 | 1, schemes: Schemes = {}): Address {
  const address = parseUrl(text, schemes)
  if (address) return address
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || port < least || port > 65_535)
    throw new RaftkitError(
      'INVALID_OPTION',
      `${JSON.stringify(text)} is no address: write ${['host:port', '[::1]:port', ...Object.keys(schemes).map((each) => `${each}//host/path`)].join(', or ')}`,
    )
  return { host, port }
}

function parseUrl(text: string, schemes: Schemes): Address | undefined {
  if (!text.includes('://') || !URL.canParse(text)) return undefined
  const { protocol, hostname, port, host, pathname, username, password, search, hash } = new URL(text)
  const usual = schemes[protocol]
  if (usual === undefined || hostname === '' || username + password + search + hash !== '') return undefined
  const url = `${protocol}//${host}${pathname.replace(/\/+$/, '')}`
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? usual : Number(port), url }
}

/** As it was written: no other two are the same. */
export function formatAddress({ host, port, url }: Address): string {
  return url ?? (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)
}

/** Judged by the name alone: what a name resolves to may change. */
export function isLoopback({ host }: Pick<Address, 'host'>): boolean {
  return host === 'localhost' || host === '::1' || /^(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)
}
