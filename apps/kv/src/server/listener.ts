import { readFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { UsageError } from '../client/exit.ts'
import type { Limits } from './limits.ts'

/** Files in PEM. `ca`: of those who sign certificates of clients. */
export interface TlsFiles {
  readonly cert: string
  readonly key: string
  readonly ca?: string | undefined
}

export interface Pem {
  readonly cert: Buffer
  readonly key: Buffer
  readonly ca?: Buffer
}

/** Throws `UsageError`. */
export function readPem({ cert, key, ca }: TlsFiles): Pem {
  const read = (flag: string, file: string) => {
    try {
      return readFileSync(file)
    } catch (cause) {
      throw new UsageError(`${flag}: ${(cause as Error).message}`)
    }
  }
  return {
    cert: read('--http-cert', cert),
    key: read('--http-key', key),
    ...(ca !== undefined && { ca: read('--client-ca', ca) }),
  }
}

/** How often Node looks for connections whose time has passed. Milliseconds. */
const looksEvery = 1_000

/** A server that is not listening, with its limits. */
export function listener(handler: RequestListener, limits: Limits, pem: Pem | undefined): Server {
  const { headersTimeout, requestTimeout, keepAliveTimeout, headerBytes } = limits
  const options = {
    maxHeaderSize: headerBytes,
    headersTimeout,
    requestTimeout,
    keepAliveTimeout,
    connectionsCheckingInterval: Math.min(looksEvery, headersTimeout),
  }
  const server = pem
    ? createTlsServer(
        {
          ...options,
          ...pem,
          minVersion: 'TLSv1.3',
          handshakeTimeout: headersTimeout,
          requestCert: pem.ca !== undefined,
          // Who is refused is told so over HTTP, in the one place where that is decided; probes show no certificate.
          rejectUnauthorized: false,
        },
        handler,
      )
    : createServer(options, handler)
  // The guard counts them. Node would leave out those beyond silently, and an Origin might be among them.
  server.maxHeadersCount = 0
  server.maxConnections = limits.connections
  server.setTimeout(limits.stallTimeout)
  return server
}
