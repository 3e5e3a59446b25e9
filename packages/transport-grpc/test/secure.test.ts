import { createSecureServer, type Http2SecureServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { Client, type ServiceError, status } from '@grpc/grpc-js'
import { createAuthority, type Issued, issue } from '@raftkit/certificates'
import { type Credentials, linkTransport } from '@raftkit/links'
import { afterEach, describe, expect, test } from 'vitest'
import { asBytes, clientOptions } from '../src/channel.ts'
import { type Showing, showing } from '../src/secure.ts'

const authority = await createAuthority({ cluster: 'c' })
const [a, b] = [await issue(authority, { node: 'a' }), await issue(authority, { node: 'b' })]
const ofOther = await issue(await createAuthority({ cluster: 'c' }), { node: 'b' })

/** As transports are given them. */
function credentials(deny: readonly string[] = []): Credentials {
  let given: Credentials | undefined
  const { ca, cert, key } = a
  linkTransport({ tls: { ca, cert, key, deny } }, (terms) => {
    given = terms.credentials
    return { dial: () => () => {} }
  })
  return given!
}

const servers: Http2SecureServer[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

/** A call over that channel to a server with that certificate: how it ended. The server knows no gRPC. */
async function call({ channel }: Showing, { cert, key }: Issued): Promise<ServiceError> {
  const server = createSecureServer({ cert, key }, (request, response) => {
    response.writeHead(200, { 'content-type': 'application/grpc', 'grpc-status': String(status.NOT_FOUND) }).end()
    request.resume()
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = `dns:127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = new Client(address, channel, clientOptions(65_536))
  try {
    return await new Promise((resolve) =>
      client.makeUnaryRequest('/x/y', asBytes, asBytes, Buffer.alloc(0), (error) => resolve(error!)),
    )
  } finally {
    client.close()
  }
}

// The knock turns such servers down first; but the one that answers then need not be the one that answered the knock.
describe('a channel, by itself', { timeout: 30_000 }, () => {
  test('shows whom it reached', async () => {
    const shown = showing(credentials())
    expect(() => shown.certificate()).toThrow(expect.objectContaining({ reason: 'it shows no certificate' }))
    expect((await call(shown, b)).code).not.toBe(status.UNAVAILABLE)
    expect(shown.certificate()!.names).toEqual(['raft://c/b', 'urn:raftkit:role:peer'])
  })

  test.each<[string, Issued, readonly string[]]>([
    ['of another authority', ofOther, []],
    ['that is denied', b, ['raft://c/b']],
  ])('reaches no server with a certificate %s', async (_, issued, deny) => {
    const shown = showing(credentials(deny))
    expect((await call(shown, issued)).code).toBe(status.UNAVAILABLE)
    expect(() => shown.certificate()).toThrow(expect.objectContaining({ kind: 'refused' }))
  })
})
