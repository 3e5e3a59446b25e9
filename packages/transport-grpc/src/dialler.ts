import { type ClientHttp2Session, connect } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { Client, type ClientDuplexStream, type Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { type Attempt, Connection, formatAddress, type Hello, Refusal, reasonOf, type Terms } from '@raftkit/links'
import { asBytes, clientOptions, paths } from './channel.ts'
import { challengeOf, greet, heard, refusedKey, refusedWith } from './greeting.ts'
import { receive, streamPipe } from './pipe.ts'
import { showing } from './secure.ts'
import { decodeOpening, encodeOpening } from './wire.ts'

/** How long saying why we turn the other side down may take. */
const farewellMs = 1000

/**
 * Knock, then open the stream, then admit.
 *
 * Why knock: a gRPC channel cannot be told to give up a TCP connection that does not come about, or a peer that accepts it and stays
 * mute; both would hold their socket, and the process, for minutes. So a plain HTTP/2 session asks first, and is destroyed in any case.
 * With TLS it also sees the certificate, and can tell the other side what is wrong with it.
 */
export function dial(attempt: Attempt, terms: Terms): () => void {
  const address = formatAddress(attempt.address)
  const { credentials } = terms
  let stream: { destroy(): void } | undefined
  let lingers = false
  const knock = credentials
    ? connect(`https://${address}`, { ...credentials.options, ALPNProtocols: ['h2'] })
    : connect(`http://${address}`)
  knock.on('error', (error) => attempt.broke(error))
  knock.on('close', () => {
    if (!stream) attempt.failed('unreachable', 'it closed the connection: is this a gRPC server?')
  })
  let judged = credentials === undefined
  knock.once('connect', (_, socket) => {
    if (!credentials) return
    try {
      credentials.judge(socket as TLSSocket)
      judged = true
    } catch (error) {
      const reason = reasonOf(error)
      lingers = true
      sayWhy(knock, paths[attempt.lane], reason)
      attempt.failed('refused', reason)
    }
  })
  knock.once('remoteSettings', () => {
    if (attempt.over || !judged) return
    try {
      stream = openStream(attempt, address, terms)
    } catch (error) {
      attempt.failed('refused', reasonOf(error))
    }
    knock.destroy()
  })
  return () => {
    if (!lingers) knock.destroy()
    stream?.destroy()
  }
}

/** In place of a call; then the session ends. */
function sayWhy(knock: ClientHttp2Session, path: string, reason: string): void {
  setTimeout(() => knock.destroy(), farewellMs).unref()
  const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' }
  const farewell = knock.request({ ...headers, [refusedKey]: Buffer.from(reason, 'latin1').toString('base64') })
  farewell.on('error', () => {}).on('close', () => knock.destroy())
  farewell.resume().end()
}

function openStream(attempt: Attempt, address: string, { maxFrameBytes, credentials }: Terms): { destroy(): void } {
  const hello = greet(attempt.hello())
  const shown = showing(credentials)
  const client = new Client(`dns:${address}`, shown.channel, clientOptions(maxFrameBytes))
  const path = paths[attempt.lane]
  const call: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(path, asBytes, asBytes, hello)
  let closed = false
  let lingers = false
  const close = () => {
    if (!closed) client.close()
    closed = true
  }
  const cut = () => {
    call.cancel()
    close()
  }
  const destroy = () => {
    if (lingers) setTimeout(cut, farewellMs).unref()
    else cut()
  }
  let connection: Connection | undefined
  const turnDown = (error: unknown) => {
    if (attempt.over) return
    // It learns why.
    lingers = true
    call.end(encodeOpening({ kind: 'refused', reason: reasonOf(error) }))
    attempt.failed('refused', reasonOf(error))
  }
  const admit = (theirs: Hello | undefined) => {
    const caller = attempt.check(theirs, shown.certificate())
    connection = new Connection(
      { caller, lane: attempt.lane, dialled: true, remote: address },
      streamPipe(call, destroy),
    )
    // It tells the other side that we have admitted it.
    call.write(encodeOpening({ kind: 'admitted' }))
    attempt.opened(connection)
  }
  call.on('metadata', (metadata: Metadata) => {
    if (attempt.over) return
    try {
      const challenge = challengeOf(metadata)
      if (challenge) call.write(encodeOpening({ kind: 'proof', proof: attempt.answer(challenge) }))
      else admit(heard(metadata))
      call.on('data', hear)
    } catch (error) {
      turnDown(error)
    }
  })
  const hear = (message: Buffer) => {
    if (connection) {
      receive(connection, message, maxFrameBytes)
      return
    }
    if (attempt.over) return
    try {
      const opening = decodeOpening(message)
      if (opening?.kind !== 'hello') throw new Refusal('malformed', 'no hello')
      admit(opening.hello)
    } catch (error) {
      turnDown(error)
    }
  }
  call.on('error', (error: ServiceError) => {
    if (connection) {
      // More than a message may hold, which gRPC has ended the call for. We send none such.
      if (error.code === status.RESOURCE_EXHAUSTED) connection.malformed(error.details)
      return
    }
    const refusal = refusedWith(error)
    if (refusal) attempt.turnedDown(refusal)
    else if (isUnreachable(error)) attempt.failed('unreachable', error.details)
    else attempt.failed('refused', error.details)
  })
  call.on('status', () => {
    close()
    if (connection) connection.ended()
    else attempt.failed('refused', 'it ended the call without a hello: is this a Raftkit node?')
  })
  return { destroy }
}

function isUnreachable({ code }: ServiceError): boolean {
  return code === status.UNAVAILABLE || code === status.INTERNAL || code === status.CANCELLED
}
