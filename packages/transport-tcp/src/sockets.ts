import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Address, Certificate, Credentials } from '@raftkit/links'

/** Spoken within TLS, so that no server of something else is taken for one of ours. */
export const alpn: readonly string[] = ['raftkit']

/** `ready`: bytes can be said, and with TLS the other side has shown its certificate. What `ready` throws is its own affair. */
export function dialled(
  { host, port }: Address,
  credentials: Credentials | undefined,
  ready: (judge: () => Certificate | undefined) => void,
): Socket {
  if (!credentials) return connect({ host, port, noDelay: true }, () => ready(() => undefined))
  const socket = connectTls({ ...credentials.options, host, port, ALPNProtocols: [...alpn] }, () =>
    ready(() => credentials.judge(socket)),
  )
  return socket.setNoDelay(true)
}
