import { UsageError } from '../client/exit.ts'
import { Access } from './access.ts'
import type { Listening } from './address.ts'
import { type Limits, limitsOf } from './limits.ts'
import { readPem, type TlsFiles } from './listener.ts'
import type { Settings } from './settings.ts'

/** How the server meets its clients. */
export interface Front extends Listening {
  readonly tls?: TlsFiles | undefined
  readonly access?: Access | undefined
  readonly allowHosts?: readonly string[] | undefined
  readonly allowOrigins?: readonly string[] | undefined
  readonly limits?: Limits
  /** What is said at each start, since somebody may not have meant it. */
  readonly warnings?: readonly string[]
}

/** Beyond loopback, nobody is served who was not asked who he is, unless that is said in so many words. Throws `UsageError`. */
export function front(at: Listening, settings: Settings): Front {
  const { httpCert: cert, httpKey: key, clientCa: ca, access: file, insecure = false } = settings
  if ((cert === undefined) !== (key === undefined)) throw new UsageError('--http-cert and --http-key go together')
  if (ca !== undefined && cert === undefined)
    throw new UsageError('--client-ca needs HTTPS: give --http-cert and --http-key as well')
  if (ca !== undefined && file === undefined)
    throw new UsageError('--client-ca says who clients are, and --access FILE what they may do: give both')
  if (!at.loopback && file === undefined && !insecure) {
    throw new UsageError(
      `--http ${at.host}:${at.port} can be reached from other machines, and this server would ask nobody who they are: give --access FILE ("raftkit-kv token NAME --role write --access FILE" makes one), with --client-ca FILE for certificates, or say --insecure if that is meant`,
    )
  }
  for (const origin of list('--allow-origin', settings.allowOrigin))
    if (!URL.canParse(origin) || new URL(origin).origin !== origin)
      throw new UsageError(`--allow-origin is like https://admin.example, not ${JSON.stringify(origin)}`)
  for (const host of list('--allow-host', settings.allowHost))
    if (!/^[A-Za-z0-9._[\]:-]+$/.test(host) || /[^:\]]:\d+$/.test(host.replace(/^\[.*\]/, '')))
      throw new UsageError(`--allow-host is a name or an address without a port, not ${JSON.stringify(host)}`)
  const tls = cert === undefined || key === undefined ? undefined : { cert, key, ca }
  // Wrong files are told of now, not by a server that half stands.
  if (tls) readPem(tls)
  const warnings = at.loopback
    ? []
    : [
        ...(file === undefined ? ['INSECURE: whoever reaches this server may read, write and remove members'] : []),
        ...(file !== undefined && !tls
          ? ['INSECURE: tokens and values cross the network in the clear: give --http-cert and --http-key']
          : []),
      ]
  return {
    ...at,
    tls,
    access: file === undefined ? undefined : new Access(file),
    allowHosts: settings.allowHost,
    allowOrigins: settings.allowOrigin,
    limits: limitsOf(settings.limits),
    warnings,
  }
}

function list(flag: string, given: unknown): readonly string[] {
  if (given === undefined) return []
  if (!Array.isArray(given) || !given.every((item) => typeof item === 'string'))
    throw new UsageError(`${flag} is a list of names`)
  return given
}
