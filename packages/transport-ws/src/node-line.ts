import { connect as connectTls } from 'node:tls'
import { type Address, type Credentials, Refusal } from '@raftkit/links'
import { type ClientOptions, WebSocket } from 'ws'
import { type Ear, isText, type Line, maxMessageBytes, protocol, refusedHeader } from './line.ts'

/** For both ends. What a stranger can make us hold is one message, and that in few pieces. */
export const settings: {
  readonly perMessageDeflate: false
  readonly maxPayload: number
  readonly maxFragments: number
  readonly maxBufferedChunks: number
  /** Milliseconds that the other side may take over its farewell. */
  readonly closeTimeout: number
} = {
  perMessageDeflate: false,
  maxPayload: maxMessageBytes,
  maxFragments: 1024,
  maxBufferedChunks: 4096,
  closeTimeout: 1000,
}

/** Spoken within TLS. */
export const alpn: readonly string[] = ['http/1.1']

/** A WebSocket of `ws`. */
export class NodeLine implements Line {
  ear: Ear
  readonly #socket: WebSocket

  constructor(socket: WebSocket, ear: Ear) {
    this.ear = ear
    this.#socket = socket
    socket.on('open', () => this.ear.opened?.())
    socket.on('message', (data, isBinary) => {
      if (isBinary) this.ear.message?.(data as Buffer)
      else this.ear.wrong?.(isText)
    })
    socket.on('error', (error: Error & { code?: string }) => {
      if (error.code?.startsWith('WS_ERR_')) this.ear.wrong?.(error.message)
      else if (error.code?.startsWith('HPE_')) this.ear.wrong?.('it does not answer in HTTP: does it speak TLS?')
      else this.ear.broke?.(error)
    })
    socket.on('close', () => this.ear.closed?.())
  }

  say(message: Uint8Array, sent?: () => void): void {
    if (this.#socket.readyState === WebSocket.CONNECTING) this.#socket.once('open', () => this.say(message, sent))
    else if (this.#socket.readyState === WebSocket.OPEN)
      this.#socket.send(message, (error) => {
        if (!error) sent?.()
      })
  }

  end(): void {
    if (this.#socket.readyState !== WebSocket.CONNECTING) return this.#socket.close()
    const timer = setTimeout(() => this.destroy(), settings.closeTimeout).unref()
    this.#socket.once('close', () => clearTimeout(timer))
    this.#socket.once('open', () => this.#socket.close())
  }

  destroy(): void {
    this.#socket.terminate()
  }
}

/** Dials. With `credentials`, in mutual TLS; otherwise what the URL says, and TLS as browsers know it. */
export function connect(url: string, { host, port }: Address, credentials: Credentials | undefined, ear: Ear): Line {
  const options: ClientOptions = { ...settings }
  if (credentials)
    options.createConnection = () => {
      const secure = connectTls({ ...credentials.options, host, port, ALPNProtocols: [...alpn] }, () => {
        line.ear.secured?.(() => credentials.judge(secure))
        secure.uncork()
      })
      // Nothing is said before the other side has shown its certificate: what is wrong with TLS would be taken for a failed write.
      secure.cork()
      return secure
    }
  const socket = new WebSocket(url, protocol, options)
  const line = new NodeLine(socket, ear)
  socket.on('unexpected-response', (request, { statusCode, statusMessage, headers }) => {
    const { [refusedHeader]: sentence } = headers
    if (typeof sentence === 'string') line.ear.turnedDown?.(new Refusal('refused', sentence))
    else line.ear.wrong?.(`it answers ${statusCode} ${statusMessage}: is this where a Raftkit node listens?`)
    request.destroy()
  })
  return line
}
