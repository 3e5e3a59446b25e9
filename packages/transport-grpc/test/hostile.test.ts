import { connect as connectHttp2 } from 'node:http2'
import { gzipSync } from 'node:zlib'
import { Client, type ClientDuplexStream, compressionAlgorithms, credentials, Metadata, status } from '@grpc/grpc-js'
import { remain, undisturbed } from '@raftkit/testing/hostile'
import { closeAll, TestNode } from '@raftkit/testing/node'
import { noise } from '@raftkit/testing/noise'
import { closeStrangers, ended, tcp } from '@raftkit/testing/strangers'
import { until, wait } from '@raftkit/testing/until'
import { grpcTransport, type TransportReport } from '@raftkit/transport-grpc'
import { afterEach, describe, expect, test } from 'vitest'
import { encodeFrames, encodeHello } from '../src/wire.ts'

const reports: TransportReport[] = []
const world = {
  transport: () =>
    grpcTransport({ maxFrameBytes: 65_536, maxConnections: 100, onReport: (report) => reports.push(report) }),
}
const life = '00112233445566ff'
const unproven = { nonce: noise(16), proof: new Uint8Array(0) }
const identity = (bytes: Buffer) => bytes
const clients: Client[] = []

/** A peer written by somebody else. */
function call(node: TestNode, metadata: Metadata, path = 'Control', options = {}): ClientDuplexStream<Buffer, Buffer> {
  const client = new Client(node.peer.address!, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.max_send_message_length': -1,
    ...options,
  })
  clients.push(client)
  return client.makeBidiStreamRequest(`/raftkit.transport.v1.Transport/${path}`, identity, identity, metadata)
}

function greeting(hello = 'c/mallory', maxFrameBytes = 65_536): Metadata {
  const metadata = new Metadata()
  metadata.set('raftkit-hello-bin', encodeHello({ ...unproven, hello: Buffer.from(hello), life, maxFrameBytes }))
  return metadata
}

async function ending(stream: ClientDuplexStream<Buffer, Buffer>): Promise<{ code: number; details: string }> {
  stream.on('error', () => {}).resume()
  return new Promise((resolve) => stream.on('status', resolve))
}

describe('whatever comes to the port', { timeout: 60_000 }, () => {
  afterEach(async () => {
    closeStrangers()
    for (const client of clients.splice(0)) client.close()
    reports.length = 0
    await closeAll()
  })

  test('raw bytes, HTTP/1, a length of 2^32 - 1, and connections that are dropped at once', () =>
    undisturbed(world, async (a) => {
      const greetings = [
        noise(100_000),
        Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
        Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), noise(5000)]),
        Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.from('ffffff0000ffffffff', 'hex')]),
        Buffer.from([0x16, 3, 1, 2, 0]),
      ]
      for (const bytes of greetings) {
        const socket = tcp(a.peer.address!)
        socket.write(bytes)
        if (bytes[0] === 0x16) socket.end()
        await ended(socket)
      }
      for (let n = 0; n < 50; n++) tcp(a.peer.address!).destroy()
      await wait(20)
    }))

  test('HTTP/2 that is no gRPC, another service, another method', () =>
    undisturbed(world, async (a) => {
      const session = connectHttp2(`http://${a.peer.address}`).on('error', () => {})
      const answer = await new Promise<number>((resolve) => {
        session.request({ ':path': '/', ':method': 'GET' }).on('response', (headers) => resolve(headers[':status']!))
      })
      expect(answer).toBe(415)
      session.destroy()
      expect((await ending(call(a, greeting(), 'Nonsense'))).code).toBe(status.UNIMPLEMENTED)
    }))

  test('a call without a hello, with a malformed one, with two, or with one of another cluster (N1)', () =>
    undisturbed(world, async (a) => {
      const [malformed, two] = [new Metadata(), greeting()]
      malformed.set('raftkit-hello-bin', Buffer.from(noise(100)))
      two.add('raftkit-hello-bin', Buffer.from('x'))
      for (const metadata of [new Metadata(), malformed, two])
        expect(await ending(call(a, metadata))).toMatchObject({ code: status.INVALID_ARGUMENT })
      expect(await ending(call(a, greeting('other/mallory')))).toMatchObject({
        code: status.PERMISSION_DENIED,
        details: 'REFUSED: this is c/a, and you are other/mallory',
      })
      expect(await ending(call(a, greeting('c/a')))).toMatchObject({ code: status.PERMISSION_DENIED })
      expect(a.links).toEqual(['b up'])
      expect(new Set(reports.map(({ kind }) => kind))).toEqual(new Set(['refused']))
    }))

  test('a refusal whose reason is not printable still arrives', () =>
    undisturbed(world, async (a) => {
      const { code, details } = await ending(call(a, greeting('ö\u0000\ud83d/mallory')))
      expect(code).toBe(status.PERMISSION_DENIED)
      expect(details).toMatch(/^REFUSED: this is c\/a, and you are [ -~]*\/mallory$/)
    }))

  test('another limit on frames is refused, and says how to mend it', () =>
    undisturbed(world, async (a) => {
      const { code, details } = await ending(call(a, greeting('c/mallory', 100_000)))
      expect(code).toBe(status.FAILED_PRECONDITION)
      expect(details).toContain('maxFrameBytes is 65536 here and 100000 there')
    }))

  test('metadata beyond all measure', () =>
    undisturbed(world, async (a) => {
      const metadata = greeting()
      for (let n = 0; n < 40; n++) metadata.set(`x-${n}-bin`, Buffer.from(noise(6000)))
      expect((await ending(call(a, metadata))).code).not.toBe(status.OK)
    }))

  test('messages before the dialler is admitted are not read', () =>
    undisturbed(world, async (a) => {
      const stranger = call(a, greeting('other/mallory'))
      for (let n = 0; n < 10; n++) stranger.write(encodeFrames([[noise(1000)]], 1000))
      await ending(stranger)
      expect(a.heard.every(({ from }) => from === 'b')).toBe(true)
    }))

  /** A peer that is admitted, and then goes wrong. */
  async function admitted(a: TestNode, options = {}): Promise<ClientDuplexStream<Buffer, Buffer>> {
    const stream = call(a, greeting(), 'Control', options)
    stream.on('error', () => {})
    await new Promise((resolve) => stream.on('metadata', resolve))
    stream.write(Buffer.alloc(0))
    stream.write(encodeFrames([[Buffer.from('hello')]], 5))
    await until(() => a.texts.includes('hello'))
    return stream
  }

  test('an admitted peer that sends another protobuf is reported and closed', () =>
    undisturbed(world, async (a) => {
      const stream = await admitted(a)
      const end = ending(stream)
      stream.write(Buffer.from('12026869', 'hex'))
      expect((await end).code).not.toBe(status.OK)
      expect(reports).toMatchObject([{ kind: 'malformed', peer: 'mallory' }])
    }))

  test('an admitted peer that sends a frame or a message above the limit is closed', () =>
    undisturbed(world, async (a) => {
      for (const size of [65_537, 65_540, 10_000_000]) {
        const stream = await admitted(a)
        const end = ending(stream)
        stream.write(encodeFrames([[Buffer.alloc(size)]], size))
        expect((await end).code).not.toBe(status.OK)
        expect(a.heard.every(({ frame }) => frame.length < 100)).toBe(true)
        a.heard.splice(a.texts.indexOf('hello'), 1)
      }
    }))

  test('a compressed message is inflated up to the limit only', () =>
    undisturbed(world, async (a) => {
      const stream = await admitted(a, { 'grpc.default_compression_algorithm': compressionAlgorithms.gzip })
      const bomb = encodeFrames([[Buffer.alloc(50_000_000)]], 50_000_000)
      expect(gzipSync(bomb).length).toBeLessThan(65_536)
      const end = ending(stream)
      stream.write(bomb)
      expect((await end).code).not.toBe(status.OK)
    }))

  test('a second call on one connection is turned down', () =>
    undisturbed(world, async (a) => {
      const session = connectHttp2(`http://${a.peer.address}`).on('error', () => {})
      const open = () => {
        const stream = session.request({
          ':method': 'POST',
          ':path': '/raftkit.transport.v1.Transport/Bulk',
          'content-type': 'application/grpc',
          te: 'trailers',
          'raftkit-hello-bin': (greeting().get('raftkit-hello-bin')[0] as Buffer).toString('base64'),
        })
        return stream.on('error', () => {})
      }
      const first = open()
      await new Promise((resolve) => first.on('response', resolve))
      // It waits until the first has ended: one at a time is all that the server allows, and one in all what we do.
      const second = open()
      const answer = new Promise<Record<string, unknown>>((resolve) => second.on('response', resolve))
      first.close()
      expect((await answer)['grpc-status']).toBe(String(status.RESOURCE_EXHAUSTED))
      session.destroy()
    }))

  test('connections that stay mute, or never confirm, are closed in time, and are never many (N4)', () =>
    undisturbed(world, async (a) => {
      let open = 0
      for (let n = 0; n < 300; n++) {
        const socket = tcp(a.peer.address!)
        open++
        socket.on('close', () => open--)
        // Slow headers, one by one.
        if (n % 2) socket.write('PRI * HTTP/2.0\r\n')
        socket.resume()
      }
      await until(() => open <= 64)
      // And all the while, a peer gets in.
      const c = await TestNode.start(world, 'c', { address: null })
      c.transport.setPeers([a.peer])
      await until(() => c.state(a) === 'up')
      const unconfirmed = ending(call(a, greeting()))
      await until(() => open === 0)
      expect((await unconfirmed).code).not.toBe(status.OK)
      expect(a.links.filter((link) => link.startsWith('mallory'))).toEqual([])
    }))

  test('no more connections than the option says', () =>
    remain(3, { transport: () => grpcTransport({ maxConnections: 3 }) }))

  test('a server that is no Raftkit node is told of once, and tried again', async () => {
    const [a, b] = [await TestNode.start(world, 'a'), await TestNode.start(world, 'b')]
    b.admitting = false
    a.transport.setPeers([b.peer, { id: 'c', address: '127.0.0.1:1' }])
    await until(() => b.refusals > 6)
    const told = reports.filter(({ peer }) => peer !== undefined)
    expect(told.filter(({ peer }) => peer === 'b')).toMatchObject([
      { kind: 'refused', reason: expect.stringContaining('REFUSED: this is c/b') },
    ])
    expect(told.filter(({ peer }) => peer === 'c')).toMatchObject([{ kind: 'unreachable', remote: '127.0.0.1:1' }])
  })
})
