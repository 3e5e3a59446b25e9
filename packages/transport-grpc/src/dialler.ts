import { connect } from 'node:http2'
import { Client, type ClientDuplexStream, credentials, type ServiceError, status } from '@grpc/grpc-js'
import { type Attempt, type Caller, Connection, type Failure, formatAddress, reasonOf } from '@raftkit/links'
import { asBytes, clientOptions, paths } from './channel.ts'
import { greet, heard } from './greeting.ts'
import { receive, streamPipe } from './pipe.ts'

/**
 * Knock, then open the stream, then admit.
 *
 * Why knock: a gRPC channel cannot be told to give up a TCP connection that does not come about, or a peer that accepts it and stays
 * mute; both would hold their socket, and the process, for minutes. So a plain HTTP/2 session asks first, and is destroyed in any case.
 */
export function dial(attempt: Attempt, maxFrameBytes: number): () => void {
  const address = formatAddress(attempt.address)
  let stream: { destroy(): void } | undefined
  const knock = connect(`http://${address}`)
  knock.on('error', (error) => attempt.failed('unreachable', error.message))
  knock.on('close', () => {
    if (!stream) attempt.failed('unreachable', 'it closed the connection: is this a gRPC server?')
  })
  knock.once('remoteSettings', () => {
    if (attempt.over) return
    try {
      stream = openStream(attempt, address, maxFrameBytes)
    } catch (error) {
      attempt.failed('refused', reasonOf(error))
    }
    knock.destroy()
  })
  return () => {
    knock.destroy()
    stream?.destroy()
  }
}

function openStream(attempt: Attempt, address: string, maxFrameBytes: number): { destroy(): void } {
  const hello = greet(attempt.hello())
  // TLS: the credentials come from an option here.
  const client = new Client(`dns:${address}`, credentials.createInsecure(), clientOptions(maxFrameBytes))
  const path = paths[attempt.lane]
  const call: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(path, asBytes, asBytes, hello)
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
    if (attempt.over) return
    let caller: Caller
    try {
      caller = attempt.check(heard(metadata))
    } catch (error) {
      attempt.failed('refused', reasonOf(error))
      return
    }
    const opened = new Connection(
      { caller, lane: attempt.lane, dialled: true, remote: address },
      streamPipe(call, destroy),
    )
    connection = opened
    call.on('data', (message: Buffer) => receive(opened, message, maxFrameBytes))
    // The empty message tells the other side that we have admitted it.
    call.write(Buffer.alloc(0))
    attempt.opened(opened)
  })
  call.on('error', (error: ServiceError) => {
    if (!connection) attempt.failed(failure(error), error.details)
  })
  call.on('status', () => {
    close()
    if (connection) connection.ended()
    else attempt.failed('refused', 'it ended the call without a hello: is this a Raftkit node?')
  })
  return { destroy }
}

function failure({ code }: ServiceError): Failure {
  if (code === status.ALREADY_EXISTS) return 'connected'
  return code === status.UNAVAILABLE || code === status.INTERNAL || code === status.CANCELLED
    ? 'unreachable'
    : 'refused'
}
