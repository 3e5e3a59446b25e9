import { connect, type Socket } from 'node:net'
import type { Address } from '@raftkit/links'

/* The one place where sockets come from: what makes them TLS goes here, and the names that a certificate proves. */

export function dialled({ host, port }: Address): Socket {
  return connect({ host, port, noDelay: true })
}

export function accepted(socket: Socket): Socket {
  return socket
}
