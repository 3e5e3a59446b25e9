import { connect, type Socket } from 'node:net'

export interface Target {
  readonly kind: 'peer' | 'http'
  readonly port: number
}

/** What one connection does to whom it reached; returns what stops it. */
type Attack = (socket: Socket, target: Target) => () => void

const nothing = (): void => {}

const every = (milliseconds: number, run: () => void): (() => void) => {
  const timer = setInterval(run, milliseconds)
  return () => clearInterval(timer)
}

const request = (headers: string): Buffer =>
  Buffer.from(`PUT /v1/kv/siege HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${headers}`)

/** As much as the other side takes, for ever. */
function pour(socket: Socket, chunk: Buffer): () => void {
  let open = true
  const more = (): void => {
    // A little pause: the attackers share the processors with whom they attack.
    if (open && !socket.destroyed && socket.write(chunk)) setTimeout(more, 5)
  }
  socket.on('drain', () => setTimeout(more, 5))
  more()
  return () => {
    open = false
  }
}

const attacks: Readonly<Record<string, Attack>> = {
  /** Connected, and silent. */
  silent: () => nothing,
  /** A byte each second of what would be a greeting or a request. */
  drip: (socket, { kind }) => {
    const text =
      kind === 'peer'
        ? Buffer.concat([Buffer.from('raftkit1'), Buffer.alloc(4000, 1)])
        : request(`x: ${'y'.repeat(4000)}`)
    let at = 0
    return every(1000, () => void socket.write(text.subarray(at, ++at)))
  },
  /** The largest length that can be said, and nothing behind it. */
  length: (socket, { kind }) => {
    if (kind === 'peer') socket.write(Buffer.concat([Buffer.from('raftkit1'), Buffer.alloc(4, 0xff)]))
    else socket.write(request('content-length: 4294967295\r\n\r\n{'))
    return nothing
  },
  /** Frames without a greeting, of a length of 0xFFFFFFFF, then whatever. */
  frames: (socket) => pour(socket, Buffer.alloc(65_536, 0xff)),
  /** Headers, or a body in chunks, without an end. */
  endless: (socket, { kind }) => {
    if (kind === 'peer') return pour(socket, Buffer.concat([Buffer.from('raftkit1'), Buffer.alloc(65_536, 0x41)]))
    socket.write(request('transfer-encoding: chunked\r\n\r\n'))
    const chunk = Buffer.alloc(65_536, 0x41)
    return pour(socket, Buffer.concat([Buffer.from('10000\r\n'), chunk, Buffer.from('\r\n')]))
  },
  /** A body beyond the limit, all of it. */
  oversized: (socket, { kind }) => {
    const body = Buffer.alloc(4 << 20, 0x20)
    if (kind === 'peer') socket.write(Buffer.concat([Buffer.from('raftkit1'), Buffer.from([0xff, 0xff, 1]), body]))
    else socket.write(Buffer.concat([request(`content-length: ${body.length}\r\n\r\n`), body]))
    return nothing
  },
}

export interface Strength {
  /** Open at this moment, and the most there were. */
  open: number
  most: number
  opened: number
  /** Connections that were closed by the other side. */
  cut: number
  refused: number
}

/** Keeps so many connections of one kind open: what is cut is opened again, at most so many in a second. */
export function besiege(
  name: string,
  targets: readonly Target[],
  count: number,
  perSecond: number,
): { strength: Strength; stop: () => void } {
  const strength: Strength = { open: 0, most: 0, opened: 0, cut: 0, refused: 0 }
  const sockets = new Set<Socket>()
  let next = 0
  let dialling = 0
  const dial = (): void => {
    const target = targets[next++ % targets.length]!
    dialling++
    const socket = connect({ port: target.port, host: '127.0.0.1', localAddress: `127.0.0.${2 + (next % 200)}` })
    let stop: (() => void) | undefined
    socket.on('error', () => {}).resume()
    socket.once('connect', () => {
      dialling--
      sockets.add(socket)
      strength.opened++
      strength.open = sockets.size
      strength.most = Math.max(strength.most, sockets.size)
      stop = attacks[name]!(socket, target)
    })
    socket.once('close', () => {
      stop?.()
      if (sockets.delete(socket)) strength.cut++
      else {
        dialling--
        strength.refused++
      }
      strength.open = sockets.size
    })
  }
  const timer = setInterval(() => {
    for (let i = 0; i < perSecond / 20 && sockets.size + dialling < count; i++) dial()
  }, 50)
  return {
    strength,
    stop: () => {
      clearInterval(timer)
      for (const socket of sockets) socket.destroy()
    },
  }
}
