import { UsageError } from '../client/exit.ts'

export interface Listening {
  readonly host: string
  readonly port: number
  readonly loopback: boolean
}

/** Where HTTP is served, from `host:port`. Throws `UsageError`. */
export function listening(text: string): Listening {
  const { host, port } = hostPort('--http', text)
  return { host, port, loopback: isLoopback(host) }
}

/** No other machine reaches it. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)

/** Of the addresses of members, one that is not on this machine alone: whoever listens there can be reached, and so can who dials it be misled. */
export const reachedFromOutside = (addresses: readonly string[]): string | undefined =>
  // A URL is for the transport to judge.
  addresses.find((address) => !address.includes('://') && !isLoopback(hostPort('an address', address).host))

/** `host:port`, with brackets around an IPv6 host. */
function hostPort(what: string, text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (match === null || port > 65_535) throw new UsageError(`${what} is host:port, not ${JSON.stringify(text)}`)
  return { host: (match[1] ?? match[2])!, port }
}

/** `n1=host:port,n2=host:port`. Throws `UsageError`. */
export function parseMembers(text: string): Record<string, string> {
  const members = text.split(',').map((item) => {
    const at = item.indexOf('=')
    if (at < 1)
      throw new UsageError(`--members is n1=host:port,n2=host:port,…; ${JSON.stringify(item)} is no such pair`)
    const address = item.slice(at + 1).trim()
    hostPort('--members', address)
    return [item.slice(0, at).trim(), address] as const
  })
  if (new Set(members.map(([id]) => id)).size < members.length) throw new UsageError('--members names an id twice')
  return Object.fromEntries(members)
}
