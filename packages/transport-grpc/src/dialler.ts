import { connect } from 'node:http2'
import { Client, type ClientDuplexStream, credentials, type ServiceError, status } from '@grpc/grpc-js'
import type { Lane, NodeId } from '@raftkit/contract'
import { type Address, formatAddress } from './address.ts'
import { asBytes, clientOptions, handshakeMs, paths } from './channel.ts'
import { Connection } from './connection.ts'
import { type Caller, type Handshake, Refusal } from './handshake.ts'

export interface Attempt {
  readonly peer: NodeId
  readonly address: Address
  readonly lane: Lane
  readonly maxFrameBytes: number
  readonly handshake: Handshake
  opened(connection: Connection): void
  failed(kind: Failure, reason: string): void
}

/** Nobody answered; somebody did, and one of us turned the other down; we are connected already. */
export type Failure = 'unreachable' | 'refused' | 'connected'

/**
 * One attempt to connect one lane: knock, then open the stream, then admit. Returns what gives it up.
 *
 * Why knock: a gRPC channel cannot be told to give up a TCP connection that does not come about, or a peer that accepts it and stays
 * mute; both would hold their socket, and the process, for minutes. So a plain HTTP/2 session asks first, and is destroyed in any case.
 */
export function dial(attempt: Attempt): () => void {
  const address = formatAddress(attempt.address)
  let settled = false
  let stream: { destroy(): void } | undefined
  const settle = () => {
    if (settled) return false
    settled = true
    clearTimeout(timer)
    knock.destroy()
    return true
  }
  const fail = (kind: Failure, reason: string) => {
    if (!settle()) return
    stream?.destroy()
    attempt.failed(kind, reason)
  }
  const timer = setTimeout(() => fail('unreachable', `no answer within ${handshakeMs} ms`), handshakeMs)
  const knock = connect(`http://${address}`)
  knock.on('error', (error) => fail('unreachable', error.message))
  knock.on('close', () => {
    if (!stream) fail('unreachable', 'it closed the connection: is this a gRPC server?')
  })
  knock.once('remoteSettings', () => {
    if (settled) return
    try {
      stream = openStream(attempt, address, settle, fail)
    } catch (error) {
      fail('refused', error instanceof Refusal ? error.reason : String(error))
    }
    knock.destroy()
  })
  return () => {
    if (settle()) stream?.destroy()
  }
}

function openStream(
  attempt: Attempt,
  address: string,
  settle: () => boolean,
  fail: (kind: Failure, reason: string) => void,
): { destroy(): void } {
  const { handshake, lane, maxFrameBytes, peer } = attempt
  const hello = handshake.hello()
  // TLS: the credentials come from an option here.
  const client = new Client(`dns:${address}`, credentials.createInsecure(), clientOptions(maxFrameBytes))
  const call: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(paths[lane], asBytes, asBytes, hello)
  let closed = false
  const close = () => {
    if (!closed) client.close()
    closed = true
  }
  const destroy = () => {
    call.cancel()
    close()
  }
  let connection: Connection | undefined
  call.on('metadata', (metadata) => {
    let caller: Caller
    try {
      caller = handshake.check(metadata)
      if (caller.peer !== peer)
        throw new Refusal(status.PERMISSION_DENIED, `${peer} is expected at ${address}, but ${caller.peer} answers`)
    } catch (error) {
      fail('refused', error instanceof Refusal ? error.reason : String(error))
      return
    }
    if (!settle()) return
    const opened = new Connection({ caller, lane, dialled: true, remote: address }, call, destroy)
    connection = opened
    call.on('data', (message: Buffer) => opened.receive(message, maxFrameBytes))
    // The empty message tells the other side that we have admitted it.
    call.write(Buffer.alloc(0))
    attempt.opened(opened)
  })
  call.on('error', (error: ServiceError) => {
    if (!connection) fail(failure(error), error.details)
  })
  call.on('status', () => {
    close()
    if (connection) connection.ended()
    else fail('refused', 'it ended the call without a hello: is this a Raftkit node?')
  })
  return { destroy }
}

function failure({ code }: ServiceError): Failure {
  if (code === status.ALREADY_EXISTS) return 'connected'
  return code === status.UNAVAILABLE || code === status.INTERNAL || code === status.CANCELLED
    ? 'unreachable'
    : 'refused'
}
