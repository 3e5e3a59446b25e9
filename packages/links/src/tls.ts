import type { X509Certificate } from 'node:crypto'
import { RaftkitError } from '@raftkit/contract'
import { chainOf, isSignedBy, unverifiedBecause, urisOf } from './certificate.ts'
import { Refusal, reasonOf } from './refusal.ts'

/** Mutual TLS 1.3: who this node is, and whom it believes. All in PEM. */
export interface Tls {
  /** The authorities, one or more, that sign the certificates of nodes. */
  readonly ca: string
  /** This node's certificate, and those between it and the authority, if any. */
  readonly cert: string
  readonly key: string
  /**
   * SHA-256 fingerprints of certificates (hexadecimal, colons or not), or names (`raft://cluster/node`). Whoever shows one of
   * them, itself or as its signer, is turned down whatever else it proves.
   */
  readonly deny?: readonly string[]
}

/** For `tls.connect`, `http2.connect` and the like. What the other side shows is judged afterwards, by `Credentials.judge`. */
export interface TlsOptions {
  readonly ca: string[]
  readonly cert: string
  readonly key: string
  readonly minVersion: 'TLSv1.3'
  readonly rejectUnauthorized: false
  /** DNS names prove nothing here. */
  readonly checkServerIdentity: () => undefined
}

/** What is judged of a TLS socket, of either side, once its handshake is done. */
export interface TlsEnd {
  readonly authorized: boolean
  readonly authorizationError?: unknown
  getPeerX509Certificate(): unknown
  isSessionReused(): boolean
}

/** The certificate of the other side, once it has verified. */
export interface Certificate {
  /** The URIs in its subject alternative name; nothing else in it is a name. */
  readonly names: readonly string[]
}

/** One state of the option; another after each reload. */
interface Trust {
  readonly options: TlsOptions
  readonly authorities: readonly X509Certificate[]
  readonly denied: ReadonlySet<string>
}

class Verified implements Certificate {
  readonly names: readonly string[]
  readonly x509: X509Certificate
  /** By which it was judged last. */
  trust: Trust

  constructor(x509: X509Certificate, trust: Trust) {
    this.names = urisOf(x509.subjectAltName)
    this.x509 = x509
    this.trust = trust
  }
}

/** The option `tls`, as it stands now. */
export class Credentials {
  readonly #ask: () => Tls
  #trust: Trust | undefined

  /** Throws `INVALID_OPTION`; a function is not asked yet. */
  constructor(tls: Tls | (() => Tls)) {
    this.#ask = typeof tls === 'function' ? tls : () => tls
    if (typeof tls !== 'function') this.reload()
  }

  /** Asks again. Throws `INVALID_OPTION`, and nothing has changed then. */
  reload(): void {
    let tls: Tls
    try {
      tls = this.#ask()
    } catch (cause) {
      throw new RaftkitError('INVALID_OPTION', `the function given as \`tls\` threw: ${reasonOf(cause)}`, { cause })
    }
    this.#trust = trustOf(tls)
  }

  /** Another object after each reload. */
  get options(): TlsOptions {
    return this.#now.options
  }

  get #now(): Trust {
    if (!this.#trust) this.reload()
    return this.#trust!
  }

  /**
   * Every path on which a TLS connection comes about leads through here, before anything is read of the other side.
   * Throws a `Refusal`.
   */
  judge(end: TlsEnd): Certificate {
    const x509 = end.getPeerX509Certificate() as X509Certificate | undefined
    if (!x509) throw new Refusal('refused', 'it shows no certificate')
    if (!end.authorized) throw unverifiedBecause(codeOf(end.authorizationError), x509)
    // It would be believed for what was verified then, by rules that may have changed.
    if (end.isSessionReused())
      throw new Refusal('refused', 'it resumes a TLS session: each connection proves itself anew')
    // OpenSSL held it against the authorities of when the handshake began, or against those of an app's server; there may have been a
    // reload since, and the app may believe others than we do.
    if (!isSignedBy(this.#now.authorities, x509)) throw unverifiedBecause('CERT_UNTRUSTED', x509)
    const certificate = new Verified(x509, this.#now)
    if (isDenied(certificate, this.#now)) throw denied()
    return certificate
  }

  /** Why a certificate that was judged before would not do now. */
  objection(certificate: Certificate): Refusal | undefined {
    const now = this.#now
    if (!(certificate instanceof Verified)) return new Refusal('failed', 'its certificate was not judged')
    if (certificate.trust === now) return undefined
    if (isDenied(certificate, now)) return denied()
    if (!isSignedBy(now.authorities, certificate.x509))
      return new Refusal('refused', 'its certificate is no longer signed by a CA of this node')
    certificate.trust = now
    return undefined
  }
}

const denied = () => new Refusal('refused', 'its certificate is denied')

function isDenied({ names, x509 }: Verified, { denied }: Trust): boolean {
  if (denied.size === 0) return false
  return (
    names.some((name) => denied.has(name)) ||
    chainOf(x509).some(({ fingerprint256 }) => denied.has(fingerprint(fingerprint256)))
  )
}

const fingerprint = (text: string) => text.replaceAll(':', '').toUpperCase()

/** An error, or its code, depending on the version of Node. */
function codeOf(error: unknown): string {
  return typeof error === 'string' ? error : String((error as { code?: unknown } | undefined)?.code ?? error)
}

const pem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

function trustOf(tls: Tls): Trust {
  const invalid = (why: string, cause?: unknown) => new RaftkitError('INVALID_OPTION', `\`tls\` ${why}`, { cause })
  const { ca, cert, key, deny = [] } = tls ?? {}
  for (const [name, text] of Object.entries({ ca, cert, key }))
    if (typeof text !== 'string') throw invalid(`wants ${name}, a text in PEM, not ${typeof text}`)
  if (typeof process === 'undefined') throw invalid('is for Node.js: a browser has certificates of its own')
  const { createSecureContext } = process.getBuiltinModule('node:tls')
  const { X509Certificate } = process.getBuiltinModule('node:crypto')
  const authorities = ca.match(pem) ?? []
  if (authorities.length === 0) throw invalid('has no certificate in `ca`')
  const denied = deny.map((each) => {
    if (each.startsWith('raft://')) return each
    if (/^[0-9A-F]{64}$/.test(fingerprint(each))) return fingerprint(each)
    throw invalid(`cannot deny ${JSON.stringify(each)}: neither a SHA-256 fingerprint nor a name raft://cluster/node`)
  })
  const options: TlsOptions = {
    ca: [...authorities],
    cert,
    key,
    minVersion: 'TLSv1.3',
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  }
  try {
    createSecureContext(options)
    return { options, authorities: authorities.map((each) => new X509Certificate(each)), denied: new Set(denied) }
  } catch (cause) {
    throw invalid(`cannot be used: ${reasonOf(cause)}. Does the key belong to the certificate?`, cause)
  }
}
