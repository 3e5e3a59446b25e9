import { expect, test } from 'vitest'
import { up } from '../node.ts'
import { noise } from '../noise.ts'
import { ended, tcp } from '../strangers.ts'
import { until } from '../until.ts'
import { a, b, type Create, ofOther, showing, starting } from './nodes.ts'
import { firstBytes, tls } from './stranger.ts'

/** `alpn`: what is spoken within TLS. */
export function bearNoise(create: Create, alpn: string): void {
  const node = starting(create)

  test('noise, whether instead of TLS, within its handshake, or within it, costs that connection and nothing else', async () => {
    const one = await node('a', { tls: showing(a) })
    const two = await node('b', { tls: showing(b) }, null)
    two.transport.setPeers([one.peer])
    await up(one, two)
    const at = one.peer.address!
    const raw = (bytes: Buffer) => ended(tcp(at).end(bytes))
    const first = await firstBytes(showing(b))
    for (let n = 0; n < 60; n++) {
      const altered = Buffer.from(first)
      altered.set(noise(3), (n * 37) % (first.length - 3))
      await Promise.all([raw(altered), raw(first.subarray(0, (n * 53) % first.length)), raw(Buffer.from(noise(500)))])
    }
    for (const shown of [{}, showing(b), showing(ofOther)])
      for (const bytes of [
        noise(40_000),
        Buffer.from('raftkit1ffff'),
        Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
        noise(1),
      ]) {
        const socket = tls(at, { ALPNProtocols: [alpn], ...shown })
        socket.on('secureConnect', () => socket.end(bytes))
        await ended(socket)
      }
    one.send(two, 'still here')
    await until(() => two.texts.includes('still here'))
    expect([one.links, two.links]).toEqual([['b up'], ['a up']])
    expect(one.admitted.every((id) => id === 'b')).toBe(true)
  })
}
