import { type Ear, isText, type Line, maxMessageBytes, protocol } from './line.ts'

/** What we use of a page's own WebSocket. */
interface PageSocket {
  binaryType: string
  readonly readyState: number
  readonly bufferedAmount: number
  onopen: (() => void) | null
  onmessage: ((event: { readonly data: unknown }) => void) | null
  onclose: (() => void) | null
  send(data: Uint8Array): void
  close(): void
}
const open = 1

/** How often to look whether what was said has gone: a page is not told. */
const lookMs = 10

/** A WebSocket of the page's own. */
class PageLine implements Line {
  ear: Ear
  readonly #socket: PageSocket
  #closed = false

  constructor(socket: PageSocket, ear: Ear) {
    this.ear = ear
    this.#socket = socket
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => this.ear.opened?.()
    socket.onmessage = ({ data }) => {
      if (!(data instanceof ArrayBuffer)) this.ear.wrong?.(isText)
      else if (data.byteLength > maxMessageBytes) this.ear.wrong?.('a message above the limit')
      else this.ear.message?.(new Uint8Array(data))
    }
    socket.onclose = () => this.#close()
  }

  say(message: Uint8Array, sent?: () => void): void {
    if (this.#socket.readyState !== open) return
    this.#socket.send(message)
    if (sent) this.#look(sent)
  }

  #look(sent: () => void): void {
    setTimeout(() => {
      if (this.#closed) return
      if (this.#socket.bufferedAmount === 0) sent()
      else this.#look(sent)
    }, lookMs)
  }

  end(): void {
    this.#socket.close()
  }

  /** A page cannot cut a connection: it says farewell, and hears no more. */
  destroy(): void {
    const socket = this.#socket
    socket.onopen = socket.onmessage = socket.onclose = null
    socket.close()
    this.#close()
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    this.ear.closed?.()
  }
}

export function connect(url: string, ear: Ear): Line {
  const { WebSocket } = globalThis as { WebSocket?: new (url: string, protocol: string) => PageSocket }
  if (!WebSocket) throw new Error('this platform has no WebSocket of its own: in Node.js, use @raftkit/transport-ws')
  return new PageLine(new WebSocket(url, protocol), ear)
}
