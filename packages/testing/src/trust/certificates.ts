import { expect, test } from 'vitest'
import { closeAll, type TestNode, up } from '../node.ts'
import { ended, tcp } from '../strangers.ts'
import { until, wait } from '../until.ts'
import { a, b, type Create, reasons, reports, showing, starting } from './nodes.ts'
import { tls } from './stranger.ts'

/** `alpn`: what is spoken within TLS. `unproven`: what somebody is told there who shows no certificate. */
export function certificates(create: Create, alpn: string, unproven: (address: string) => Promise<string>): void {
  const node = starting(create)
  const stranger = ({ peer }: TestNode, options: object) => tls(peer.address!, { ALPNProtocols: [alpn], ...options })

  test('nodes of one authority talk, whatever their addresses are called, and each is told whom the other is', async () => {
    const nodes = await Promise.all([node('a', { tls: showing(a) }), node('b', { tls: () => showing(b) })])
    const [one, two] = nodes as [TestNode, TestNode]
    one.transport.setPeers([{ id: 'b', address: two.peer.address!.replace('127.0.0.1', 'localhost') }])
    await up(one, two)
    one.send(two, 'to you')
    two.send(one, 'and you', 'bulk')
    await until(() => two.texts.includes('to you') && one.texts.includes('and you'))
    expect([...reasons('a'), ...reasons('b')]).toEqual([])
  })

  test('a node without TLS and one with it turn each other down, whoever dials, and both are told', async () => {
    for (const plainDials of [true, false]) {
      const plain = await node('a', {})
      const secure = await node('b', { tls: showing(b) })
      if (plainDials) plain.transport.setPeers([secure.peer])
      else secure.transport.setPeers([plain.peer])
      await until(() => reasons('a').length > 0 && reasons('b').length > 0)
      const [withoutTls, withTls] = [reasons('a')[0], reasons('b')[0]]
      if (plainDials) {
        expect(withTls).toContain('it speaks without TLS, and this node with it')
        expect(withoutTls).toBe(`this node was turned down: ${withTls}`)
      } else {
        expect(withTls).toContain('it does not speak TLS, and this node does')
        expect(withoutTls).toContain('it speaks TLS, and this node does not')
      }
      expect([reports.a![0]!.kind, reports.b![0]!.kind]).toEqual(['refused', 'refused'])
      expect([plain.links, secure.links]).toEqual([[], []])
      await closeAll()
    }
  })

  test('who shows no certificate is told so; older TLS, and TLS for another protocol, do not come about', async () => {
    const one = await node('a', { tls: showing(a) })
    expect(await unproven(one.peer.address!)).toContain('it shows no certificate')
    expect(reasons('a')).toEqual(['it shows no certificate'])
    for (const options of [
      { ...showing(b), maxVersion: 'TLSv1.2' },
      { ...showing(b), ALPNProtocols: ['something else'] },
    ]) {
      const socket = stranger(one, options)
      const code = await new Promise((resolve) =>
        socket.on('error', (error) => resolve((error as { code?: string }).code)),
      )
      expect(code).toMatch(/^ERR_SSL_/)
    }
    await until(() => reasons('a').length === 3)
    expect(one.links).toEqual([])
  })

  test('no session is resumed: each connection proves itself anew', async () => {
    const one = await node('a', { tls: showing(a) })
    const sessions: Buffer[] = []
    const first = stranger(one, showing(b)).on('session', (session) => sessions.push(session))
    await new Promise<void>((resolve) => first.on('secureConnect', resolve))
    await wait(100)
    first.destroy()
    for (const session of [...sessions, first.getSession()]) {
      const second = stranger(one, { ...showing(b), session })
      await new Promise<void>((resolve) => second.on('secureConnect', resolve))
      expect(second.isSessionReused()).toBe(false)
      second.destroy()
    }
  })

  test('a TLS handshake that stops half way is cut, and so is one that never begins', async () => {
    const one = await node('a', { tls: showing(a) })
    const closed = ['1603010200010001fc0303', '16', '1603014000', ''].map((hex) => {
      const socket = tcp(one.peer.address!)
      socket.write(Buffer.from(hex, 'hex'))
      return ended(socket)
    })
    await Promise.all(closed)
    expect(one.links).toEqual([])
  })
}
