/**
 * `malformed`: no hello, or none that can be read. `refused`: not admitted. `limits`: another `maxFrameBytes`.
 * `connected`: we are connected already, so nothing is wrong. `busy`: too much was asked for. `failed`: we could not say or decide.
 */
export type RefusalKind = 'malformed' | 'refused' | 'limits' | 'connected' | 'busy' | 'failed'

/** Why a connection is turned down. */
export class Refusal {
  readonly kind: RefusalKind
  readonly reason: string

  constructor(kind: RefusalKind, reason: string) {
    this.kind = kind
    // It travels: printable, and short whatever a hello made of it.
    this.reason = reason.replace(/[^\x20-\x7e]/g, '?').slice(0, 300)
  }
}

/** What the other side said, when it turned us down. */
export function turnedDown({ kind, reason }: Refusal): Refusal {
  return new Refusal(kind, `this node was turned down: ${reason}`)
}

export function reasonOf(error: unknown): string {
  return error instanceof Refusal ? error.reason : error instanceof Error ? error.message : String(error)
}

const onlyWeSpeakTls = 'it does not speak TLS, and this node does: give both the option `tls`, or neither'

/** What OpenSSL says when the two ends of a connection do not mean the same. */
const misunderstandings: Readonly<Record<string, string>> = {
  ERR_SSL_WRONG_VERSION_NUMBER: onlyWeSpeakTls,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: onlyWeSpeakTls,
  ERR_SSL_HTTP_REQUEST: onlyWeSpeakTls,
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'it speaks no TLS 1.3',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'it speaks no TLS 1.3',
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: 'its TLS is for another protocol: is this the right port?',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'this node was turned down: it shows no certificate',
}

/** Undefined: a failure of the network rather than a misunderstanding. */
export function misunderstandingOf(error: Error): string | undefined {
  const code = codeOf(error)
  if (!code?.startsWith('ERR_SSL_')) return undefined
  return misunderstandings[code] ?? `no TLS 1.3 came about: ${code.slice(8).toLowerCase().replaceAll('_', ' ')}`
}

/** What Node says of it while it reads. While it writes, it says EPROTO, and OpenSSL's own words. */
function codeOf(error: Error): string | undefined {
  const { code, message } = error as NodeJS.ErrnoException
  const words = code === 'EPROTO' ? /:SSL routines:[^:]*:([^:]+):/.exec(message)?.[1] : undefined
  return words === undefined ? code : `ERR_SSL_${words.toUpperCase().replaceAll(' ', '_')}`
}
