import { afterEach, describe } from 'vitest'
import { closeAll } from '../node.ts'
import { closeStrangers, said } from '../strangers.ts'
import { certificates } from './certificates.ts'
import type { Create } from './nodes.ts'
import { reload } from './reload.ts'
import { secrets } from './secret.ts'
import { tls } from './stranger.ts'
import { turnDown } from './turned-down.ts'

export { a, authority, b, type Create, other, reasons, reports, showing, starting, transportOf } from './nodes.ts'
export { bearNoise } from './noise.ts'
export { turnDown } from './turned-down.ts'

export interface Subject {
  readonly create: Create
  /** Spoken within TLS, by its name in ALPN. */
  readonly alpn: string
  /** What is said to somebody who shows no certificate at this address. Default: all the text that comes before the end. */
  unproven?(address: string): Promise<string>
}

/** Whom nodes believe over a transport of links: by certificates, by a secret, and after either has changed. */
export function trust({ create, alpn, unproven = hear(alpn) }: Subject): void {
  afterEach(async () => {
    closeStrangers()
    await closeAll()
  })
  describe('with certificates', { timeout: 60_000 }, () => {
    certificates(create, alpn, unproven)
    turnDown(create)
  })
  describe('reload', { timeout: 60_000 }, () => reload(create))
  describe('with a secret', { timeout: 60_000 }, () => secrets(create))
}

const hear = (alpn: string) => (address: string) => said(tls(address, { ALPNProtocols: [alpn] }))
