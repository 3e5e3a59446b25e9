import { X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
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
    checkServerIdentity(_, { raw }) {
      shown = undefined
      try {
        const x509 = new X509Certificate(raw)
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
