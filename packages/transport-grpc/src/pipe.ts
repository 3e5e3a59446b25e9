import type { Writable } from 'node:stream'
import type { Connection, Pipe } from '@raftkit/links'
import { encodeFrames, readFrames } from './wire.ts'

/** Either end of a gRPC stream, as a pipe. */
export function streamPipe(stream: Pick<Writable, 'write' | 'end' | 'writableEnded'>, destroy: () => void): Pipe {
  return {
    write({ frames, bytes }, sent) {
      if (!stream.writableEnded)
        stream.write(encodeFrames(frames, bytes), (error) => {
          if (!error) sent()
        })
    },
    end() {
      if (!stream.writableEnded) stream.end()
    },
    destroy,
  }
}

/** One message of frames, handed to the connection that it came by. */
export function receive(connection: Connection, message: Uint8Array, maxFrameBytes: number): void {
  let fits = true
  const whole = readFrames(message, (frame) => {
    if (frame.length > maxFrameBytes) fits = false
    else connection.frame(frame)
  })
  if (!whole || !fits) connection.malformed('its bytes are no frames')
}
