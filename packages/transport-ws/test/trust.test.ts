import { once } from 'node:events'
import { createServer, Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { issue } from '@raftkit/certificates'
import { a, authority, b, other, reasons, showing, starting, trust, turnDown } from '@raftkit/testing/trust'
import { until } from '@raftkit/testing/until'
import { type TransportReport, wsTransport } from '@raftkit/transport-ws'
import { describe, expect, test } from 'vitest'
import { App } from './app.ts'

const node = starting(wsTransport)

trust({ create: wsTransport, alpn: 'http/1.1' })

describe("beside an app's server", { timeout: 60_000 }, () => {
  turnDown((options) => new App(options))

  test("an app's server that believes another authority too does not decide for the node", async () => {
    const believing = { ...a, ca: authority.cert + other.cert }
    const server = createTlsServer({
      ...believing,
      requestCert: true,
      rejectUnauthorized: false,
      minVersion: 'TLSv1.3',
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const told: TransportReport[] = []
    const one = wsTransport({ tls: showing(a), server, onReport: (report) => told.push(report) })
    const never = () => {
      throw new Error('asked for nothing')
    }
    await one.start({ id: 'a' }, { hello: never, admit: never, frame: never, link: never })
    const stranger = await node('b', { tls: showing(await issue(other, { node: 'b' })) }, null)
    stranger.transport.setPeers([{ id: 'a', address: `127.0.0.1:${(server.address() as AddressInfo).port}` }])
    const both = await node('c', { tls: { ...showing(await issue(other, { node: 'c' })), ca: believing.ca } }, null)
    both.transport.setPeers([{ id: 'a', address: `127.0.0.1:${(server.address() as AddressInfo).port}` }])
    await until(() => reasons('c').length > 0 && told.some(({ reason }) => reason.includes('not signed by a CA')))
    expect(reasons('c')[0]).toBe('this node was turned down: its certificate is not signed by a CA of this node')
    await one.close()
    server.close()
  })

  test("an app's server that speaks no TLS, or asks for no certificate, lets nobody in", async () => {
    const dialler = await node('b', { tls: showing(b) })
    for (const server of [createServer(), createTlsServer({ cert: a.cert, key: a.key })]) {
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const told: TransportReport[] = []
      const one = wsTransport({ tls: showing(a), server, onReport: (report) => told.push(report) })
      const admitted: unknown[] = []
      const receiver = {
        hello: () => new TextEncoder().encode('c/a'),
        admit: (...of: unknown[]) => String(admitted.push(of)),
        frame: () => {},
        link: () => {},
      }
      await one.start({ id: 'a' }, receiver)
      const { port } = server.address() as AddressInfo
      dialler.transport.setPeers([{ id: 'a', address: `127.0.0.1:${port}` }])
      if (server instanceof Server) {
        const plain = await node('x', {}, null)
        plain.transport.setPeers([{ id: 'a', address: `127.0.0.1:${port}` }])
      }
      await until(() => told.length > 0)
      expect(told[0]!.reason).toMatch(/it speaks without TLS|it shows no certificate/)
      expect(admitted).toEqual([])
      await one.close()
      server.close()
    }
  })
})
