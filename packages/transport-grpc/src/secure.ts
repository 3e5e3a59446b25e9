import { X509Certificate } from 'node:crypto'
import { createSecureContext, type DetailedPeerCertificate } from 'node:tls'
import { ChannelCredentials } from '@grpc/grpc-js'
import { type Certificate, type Credentials, Refusal } from '@raftkit/links'

/** What a channel presents, and what it has been shown, last. */
export interface Showing {
  readonly channel: ChannelCredentials
  /** Throws a `Refusal`. */
  certificate(): Certificate | undefined
}

/**
 * gRPC keeps its socket to itself, but asks who the server is, once per TLS handshake and only after the certificate has verified:
 * there the certificate is taken, and judged.
 */
export function showing(credentials: Credentials | undefined): Showing {
  if (!credentials) return { channel: ChannelCredentials.createInsecure(), certificate: () => undefined }
  let shown: Certificate | undefined
  const channel = ChannelCredentials.createFromSecureContext(createSecureContext(credentials.options), {
    rejectUnauthorized: true,
    checkServerIdentity(_, shows) {
      shown = undefined
      try {
        const x509 = chained(shows as DetailedPeerCertificate)
        shown = credentials.judge({
          authorized: true,
          getPeerX509Certificate: () => x509,
          isSessionReused: () => false,
        })
        return undefined
      } catch (error) {
        return new Error(error instanceof Refusal ? error.reason : String(error))
      }
    },
  })
  return {
    channel,
    certificate() {
      if (!shown) throw new Refusal('refused', 'it shows no certificate')
      return shown
    },
  }
}

/** More than a chain of certificates has; the last is its own issuer. */
const longest = 10

/** As `getPeerX509Certificate` of a socket gives it: with those that signed it. */
function chained({ raw, issuerCertificate }: DetailedPeerCertificate, depth = 1): X509Certificate {
  const x509 = new X509Certificate(raw)
  if (!issuerCertificate || issuerCertificate.raw.equals(raw) || depth === longest) return x509
  return Object.defineProperty(x509, 'issuerCertificate', { value: chained(issuerCertificate, depth + 1) })
}
