import { X509Certificate } from 'node:crypto'
import { connect } from 'node:http2'
import { up } from '@raftkit/testing/node'
import { bearNoise, reasons, starting, transportOf, trust } from '@raftkit/testing/trust'
import { until, wait } from '@raftkit/testing/until'
import { grpcTransport } from '@raftkit/transport-grpc'
import { describe, expect, test } from 'vitest'
import { intermediate } from './intermediate.ts'

const alpn = 'h2'
const node = starting(grpcTransport)

/** It hears of it as the end of its call. */
async function unproven(address: string): Promise<string> {
  const session = connect(`https://${address}`, { rejectUnauthorized: false }).on('error', () => {})
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
  session.destroy()
  return decodeURIComponent(String(answer['grpc-message']))
}

trust({ create: grpcTransport, alpn, unproven })

describe('at a port with TLS', { timeout: 60_000 }, () => bearNoise(grpcTransport, alpn))

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
