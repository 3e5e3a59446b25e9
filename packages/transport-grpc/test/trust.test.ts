import { X509Certificate } from 'node:crypto'
import { connect as connectHttp2 } from 'node:http2'
import { connect as connectTcp, createServer } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { createAuthority, type Issued, issue } from '@raftkit/certificates'
import type { Tls } from '@raftkit/links'
import {
  type GrpcTransport,
  type GrpcTransportOptions,
  grpcTransport,
  type TransportReport,
} from '@raftkit/transport-grpc'
import { afterEach, describe, expect, test } from 'vitest'
import { intermediate } from './intermediate.ts'
import { closeAll, TestNode, until, up, type World, wait } from './node.ts'
import { noise } from './noise.ts'

const authority = await createAuthority({ cluster: 'c' })
const other = await createAuthority({ cluster: 'c' })
const [a, b, client] = await Promise.all([
  issue(authority, { node: 'a' }),
  issue(authority, { node: 'b' }),
  issue(authority, { client: 'a' }),
])
const hour = 3_600_000
const at = (from: number): Date => new Date(Date.now() + from)
const ofOther = await issue(other, { node: 'a' })
const elder = await createAuthority({ cluster: 'c', from: at(-48 * hour) })
const expired = await issue(elder, { node: 'a', from: at(-2 * hour), days: 1 / 24 })
const early = await issue(authority, { node: 'a', from: at(hour) })

/** What a node shows, and whom it believes. */
const showing = ({ cert, key }: Issued, ca: string = authority.cert, deny: readonly string[] = []): Tls => ({
  ca,
  cert,
  key,
  deny,
})
const secret = 'the words that only we know, and nobody else'

/** What was told, by whom. */
const reports: Record<string, TransportReport[]> = {}

function node(id: string, options: GrpcTransportOptions, address: string | null = '127.0.0.1:0'): Promise<TestNode> {
  const told: TransportReport[] = []
  reports[id] = told
  const world: World = {
    transport: () => grpcTransport({ ...options, onReport: (report) => told.push(report) }),
    address: () => '127.0.0.1:0',
    reached: (transport) => (transport as GrpcTransport).address!,
  }
  return TestNode.start(world, id, { address })
}

const transportOf = (node: TestNode): GrpcTransport => node.transport as GrpcTransport
const reasons = (id: string): string[] => reports[id]!.map(({ reason }) => reason)

/** What a client says first in TLS. */
async function firstBytes(options: object): Promise<Buffer> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = connectTls({ ...options, host: '127.0.0.1', port: (server.address() as { port: number }).port })
  const said = await new Promise<Buffer>((resolve) => server.on('connection', (socket) => socket.once('data', resolve)))
  client.on('error', () => {}).destroy()
  server.close()
  return said
}

afterEach(closeAll)

describe('with certificates', { timeout: 60_000 }, () => {
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

  const wrong: [string, Tls, Tls, string][] = [
    ['of another authority', showing(ofOther), showing(b), 'its certificate is not signed by a CA of this node'],
    ['expired', showing(expired), showing(b, authority.cert + elder.cert), 'its certificate expired on 20'],
    ['not valid yet', showing(early), showing(b), 'its certificate is valid from 20'],
    ['denied by its fingerprint', showing(a), showing(b, authority.cert, [a.fingerprint]), 'its certificate is denied'],
    ['denied by its name', showing(a), showing(b, authority.cert, ['raft://c/a']), 'its certificate is denied'],
    ['of another node', showing(b), showing(b), 'raft://c/b urn:raftkit:role:peer is not the peer a'],
    ['of a client', showing(client), showing(b), ''],
  ]

  test.each(wrong)(
    'a certificate %s is turned down, whoever dials, and both sides are told why',
    async (_, bad, good, why) => {
      const believing = { ...bad, ca: bad.ca + elder.cert }
      for (const badDials of [true, false]) {
        const one = await node('a', { tls: believing })
        const two = await node('b', { tls: good })
        if (badDials) one.transport.setPeers([two.peer])
        else two.transport.setPeers([one.peer])
        await until(
          () =>
            reasons('b').length > 0 && reasons('a').some((reason) => reason.startsWith('this node was turned down: ')),
          () => JSON.stringify(reports),
        )
        expect(reasons('b')[0]).toContain(why)
        expect(reports.b![0]!.kind).toBe('refused')
        expect(reasons('a')).toContain(`this node was turned down: ${reasons('b')[0]}`)
        expect([one.links, two.links, one.heard, two.heard]).toEqual([[], [], [], []])
        // Nothing of it was admitted on the strength of such a certificate.
        expect(two.admitted).toEqual([])
        expect(transportOf(two).counters.refused).toBeGreaterThan(0)
        await closeAll()
      }
    },
  )

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

  /** A stranger that speaks TLS, somehow. */
  function stranger(node: TestNode, options: object): TLSSocket {
    const [host, port] = node.peer.address!.split(':')
    const socket = connectTls({
      host,
      port: Number(port),
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
      ...options,
    })
    return socket.on('error', () => {})
  }

  test('who shows no certificate is told so; older TLS, and TLS for another protocol, do not come about', async () => {
    const one = await node('a', { tls: showing(a) })
    const session = connectHttp2(`https://${one.peer.address}`, { rejectUnauthorized: false }).on('error', () => {})
    const answer = await new Promise<Record<string, unknown>>((resolve) => {
      session
        .request({
          ':method': 'POST',
          ':path': '/raftkit.transport.v1.Transport/Bulk',
          'content-type': 'application/grpc',
          te: 'trailers',
        })
        .on('error', () => {})
        .on('response', resolve)
    })
    expect(decodeURIComponent(String(answer['grpc-message']))).toBe('it shows no certificate')
    session.destroy()
    expect(reasons('a')).toEqual(['it shows no certificate'])
    for (const options of [
      { ...showing(b), maxVersion: 'TLSv1.2' },
      { ...showing(b), ALPNProtocols: ['http/1.1'] },
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

  test('noise, whether instead of TLS, within its handshake, or within it, costs that connection and nothing else', async () => {
    const one = await node('a', { tls: showing(a) })
    const two = await node('b', { tls: showing(b) }, null)
    two.transport.setPeers([one.peer])
    await up(one, two)
    const [host, port] = one.peer.address!.split(':')
    const raw = (bytes: Buffer) =>
      new Promise<void>((resolve) => {
        const socket = connectTcp(Number(port), host, () => socket.end(bytes))
        socket
          .on('error', () => {})
          .on('close', () => resolve())
          .resume()
      })
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
        const socket = stranger(one, shown)
        socket.on('secureConnect', () => socket.end(bytes))
        await new Promise<void>((resolve) => void socket.on('close', () => resolve()).resume())
      }
    one.send(two, 'still here')
    await until(() => two.texts.includes('still here'))
    expect([one.links, two.links]).toEqual([['b up'], ['a up']])
    expect(one.admitted.every((id) => id === 'b')).toBe(true)
  })

  test('a TLS handshake that stops half way is cut, and so is one that never begins', async () => {
    const one = await node('a', { tls: showing(a) })
    const [host, port] = one.peer.address!.split(':')
    const closed = Promise.all(
      ['1603010200010001fc0303', '16', '1603014000', ''].map(
        (hex) =>
          new Promise<void>((resolve) => {
            const socket = connectTcp(Number(port), host)
              .on('error', () => {})
              .on('close', () => resolve())
              .resume()
            socket.write(Buffer.from(hex, 'hex'))
          }),
      ),
    )
    await closed
    expect(one.links).toEqual([])
  })
})

describe('an authority between', { timeout: 60_000 }, () => {
  test('is believed for what the root signed, again after a reload, and can be denied with all that it signed', async () => {
    const { root, between, issue } = await intermediate()
    let deny: string[] = []
    const shown = { a: await issue('raft://c/a'), b: await issue('raft://c/b') }
    const one = await node('a', { tls: () => ({ ca: root, ...shown.a, deny }) })
    const two = await node('b', { tls: () => ({ ca: root, ...shown.b, deny: [] }) })
    for (const [dialler, listener] of [
      [one, two],
      [two, one],
    ] as const) {
      deny = []
      transportOf(one).reload()
      dialler.transport.setPeers([listener.peer])
      await up(one, two)
      const links = [one.links.length, two.links.length]
      for (const each of [one, two]) transportOf(each).reload()
      await wait(100)
      expect([one.links.length, two.links.length]).toEqual(links)
      deny = [new X509Certificate(between).fingerprint256]
      transportOf(one).reload()
      await until(() => one.state(two) === 'down' && two.state(one) === 'down')
      expect(reasons('a')).toContain('its certificate is denied')
      dialler.transport.setPeers([])
    }
  })
})

describe('reload', { timeout: 60_000 }, () => {
  async function linked(of: { a: Tls; b: Tls }): Promise<{ one: TestNode; two: TestNode }> {
    const one = await node('a', { tls: () => of.a })
    const two = await node('b', { tls: () => of.b })
    one.transport.setPeers([two.peer])
    two.transport.setPeers([one.peer])
    await up(one, two)
    return { one, two }
  }

  test('a certificate that is denied from now on is cut, kept out, and let in again when it is denied no more', async () => {
    const of = { a: showing(a), b: showing(b) }
    const { one, two } = await linked(of)
    of.a = showing(a, authority.cert, [b.fingerprint.replaceAll(':', '').toLowerCase()])
    transportOf(one).reload()
    await until(() => one.state(two) === 'down' && two.state(one) === 'down')
    await until(() => reasons('b').includes('this node was turned down: its certificate is denied'))
    await wait(300)
    expect(one.state(two)).toBe('down')
    expect(reasons('a')).toContain('its certificate is denied')
    of.a = showing(a)
    transportOf(one).reload()
    await up(one, two)
  })

  test('new certificates, then a new authority, without a moment in which the link could not be', async () => {
    const of = { a: showing(a), b: showing(b) }
    const { one, two } = await linked(of)
    const both = authority.cert + other.cert
    of.a = showing(await issue(other, { node: 'a' }), both)
    of.b = showing(await issue(other, { node: 'b' }), both)
    for (const each of [one, two]) transportOf(each).reload()
    await wait(100)
    expect([one.links, two.links]).toEqual([['b up'], ['a up']])
    // Only the new authority: what was shown before is of the old one.
    of.a = { ...of.a, ca: other.cert }
    transportOf(one).reload()
    // The other may see the new connections before it sees the end of the old ones.
    await until(() => one.links.length === 3)
    await up(one, two)
    const before = [one.links.length, two.links.length]
    of.b = { ...of.b, ca: other.cert }
    transportOf(two).reload()
    await wait(100)
    expect([one.links.length, two.links.length]).toEqual(before)
    one.send(two, 'still here')
    await until(() => two.texts.includes('still here'))
  })

  test.each<[string, object]>([
    ['no certificate in `ca`', { ca: 'nonsense' }],
    ['cannot be used', { key: b.key }],
    ['cannot be used', { cert: 'nonsense' }],
    ['wants key', { key: undefined }],
    ['cannot deny "raft:/c/b"', { deny: ['raft:/c/b'] }],
  ])('what cannot be used changes nothing: it %s', async (why, wrong) => {
    const of = { a: showing(a), b: showing(b) }
    const { one, two } = await linked(of)
    of.a = { ...of.a, ...wrong }
    expect(() => transportOf(one).reload()).toThrow(why)
    expect(() => transportOf(one).reload()).toThrow('INVALID_OPTION')
    one.send(two, 'still here')
    await until(() => two.texts.includes('still here'))
    expect(one.links).toEqual(['b up'])
    expect(() => grpcTransport({ tls: of.a })).toThrow('INVALID_OPTION')
    await expect(node('x', { tls: () => of.a })).rejects.toThrow('INVALID_OPTION')
  })

  test('a function that throws, and a transport without `tls`, say so', async () => {
    const throwing = () => {
      throw new Error('no such file')
    }
    await expect(node('x', { tls: throwing })).rejects.toThrow('no such file')
    expect(() => grpcTransport().reload()).toThrow('INVALID_OPTION')
  })
})

describe('with a secret', { timeout: 60_000 }, () => {
  test.each([
    ['alone', {}, {}],
    ['and certificates', { tls: showing(a) }, { tls: showing(b) }],
  ])('%s, nodes that know it talk', async (_, ofOne, ofTwo) => {
    const [one, two] = [await node('a', { ...ofOne, secret }), await node('b', { ...ofTwo, secret })]
    one.transport.setPeers([two.peer])
    await up(one, two)
    two.send(one, 'hello')
    await until(() => one.texts.includes('hello'))
  })

  test.each([
    [
      'another',
      'some other words that we do not know at all',
      'it does not prove that it knows the secret of this node',
    ],
    ['none', undefined, 'it asks for a secret, and this node was given none'],
  ])(
    'who knows %s is turned down, whoever dials; both are told, and neither host hears its hello',
    async (_, wrong, why) => {
      for (const wrongDials of [true, false]) {
        const one = await node('a', wrong ? { secret: wrong } : {})
        const two = await node('b', { secret })
        if (wrongDials) one.transport.setPeers([two.peer])
        else two.transport.setPeers([one.peer])
        await until(() => reasons('a').length > 0 && reasons('b').length > 0)
        const told = [reasons('a')[0]!, reasons('b')[0]!].sort((x, y) => x.length - y.length)
        expect(told[0]).toContain(wrongDials || wrong ? why : 'it asks for no secret, and this node was given one')
        expect(told[1]).toBe(`this node was turned down: ${told[0]}`)
        expect([one.links, two.links, two.admitted]).toEqual([[], [], []])
        for (const reason of [...reasons('a'), ...reasons('b')]) expect(reason).not.toContain(secret)
        await closeAll()
      }
    },
  )

  test('beyond loopback either will do, and nothing is reported; without them `insecure` has to be said, and is', async () => {
    await node('a', { secret }, '0.0.0.0:0')
    await node('b', { tls: showing(b) }, '0.0.0.0:0')
    expect([...reasons('a'), ...reasons('b')]).toEqual([])
    await expect(node('x', {}, '0.0.0.0:0')).rejects.toThrow('pass `tls`, or `secret`, or `insecure: true`')
    const open = await node('x', { insecure: true }, '0.0.0.0:0')
    expect(reports.x!.map(({ kind }) => kind)).toEqual(['insecure'])
    expect(transportOf(open).counters).toEqual({ unreachable: 0, refused: 0, malformed: 0, insecure: 1 })
  })

  test('one that is short is refused at once', () => {
    expect(() => grpcTransport({ secret: 'x'.repeat(31) })).toThrow('INVALID_OPTION')
    expect(() => grpcTransport({ secret: 'x'.repeat(31) })).not.toThrow('xxx')
  })
})
