import { createPrivateKey, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { createAuthority, inspect, issue, problem, readTls, type Tls, writeFolder } from '@raftkit/certificates'
import { isRaftkitError } from '@raftkit/contract'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const authority = await createAuthority({ cluster: 'shop' })
const stranger = await createAuthority({ cluster: 'shop' })
const n1 = await issue(authority, { node: 'n1', hosts: ['kv1.example', '10.1.2.3', 'kv1.example'] })
const n2 = await issue(authority, { node: 'n2' })
const web = await issue(authority, { client: 'web' })
const past = { from: new Date('2020-01-01T00:00:00Z'), days: 1 }
const old = await createAuthority({ cluster: 'shop', from: past.from })
const expired = await issue(old, { node: 'n1', ...past })

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'raftkit-certificates-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const option = (what: RegExp) => ({
  asymmetricMatch: (error: unknown) => isRaftkitError(error, 'INVALID_OPTION') && what.test(error.message),
})

describe('what a certificate says', () => {
  test('of a node: its name, the role of peers, the hosts under which HTTPS reaches it', () => {
    const { subjectAltName } = new X509Certificate(n1.cert)
    expect(subjectAltName).toBe(
      'URI:raft://shop/n1, URI:urn:raftkit:role:peer, DNS:localhost, IP Address:127.0.0.1, ' +
        'IP Address:0:0:0:0:0:0:0:1, DNS:kv1.example, IP Address:10.1.2.3',
    )
    expect(inspect(n1.cert)).toMatchObject({ role: 'peer', cluster: 'shop', name: 'n1', fingerprint: n1.fingerprint })
    expect(n1.fingerprint).toMatch(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/)
  })

  test('of a client: its name and the role of clients, no hosts, and no right to be a server', () => {
    const certificate = new X509Certificate(web.cert)
    expect(certificate.subjectAltName).toBe('URI:raft://shop/web, URI:urn:raftkit:role:client')
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2'])
    expect(inspect(web.cert)).toMatchObject({ role: 'client', cluster: 'shop', name: 'web', hosts: [] })
  })

  test('of an authority: the cluster alone', () => {
    expect(inspect(authority.cert)).toMatchObject({ role: 'authority', cluster: 'shop', name: undefined })
    expect(new X509Certificate(authority.cert).ca).toBe(true)
  })

  test('keys are EC P-256, each its own, and fit the certificate', () => {
    for (const { cert, key } of [authority, n1, n2, web]) {
      expect(createPrivateKey(key).asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' })
      expect(new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))).toBe(true)
    }
    expect(new Set([authority.key, n1.key, n2.key, web.key]).size).toBe(4)
    expect(new Set([n1, n2, web].map(({ cert }) => new X509Certificate(cert).serialNumber)).size).toBe(3)
  })

  test('dates are whole seconds, and none outlives its authority', async () => {
    const brief = await createAuthority({ cluster: 'shop', from: new Date('2030-01-01T00:00:00.999Z'), days: 2 })
    const { from, until } = inspect(brief.cert)
    expect([from, until]).toEqual([new Date('2030-01-01T00:00:00Z'), new Date('2030-01-03T00:00:00Z')])
    expect(inspect((await issue(brief, { node: 'n1', from })).cert).until).toEqual(until)
    expect(inspect((await issue(brief, { node: 'n1', from, days: 0.5 })).cert).until).toEqual(
      new Date('2030-01-01T12:00:00Z'),
    )
  })
})

describe('what is refused', () => {
  test.each([
    ['a cluster that is no name', () => createAuthority({ cluster: 'a/b' }), /^INVALID_OPTION: cluster: "a\/b" is not/],
    ['a node that is no name', () => issue(authority, { node: '../n1' }), /node: "..\/n1" is not/],
    ['a client that is no name', () => issue(authority, { client: '' }), /client: "" is not/],
    ['both', () => issue(authority, { node: 'a', client: 'b' } as never), /for a `node` or for a `client`/],
    ['neither', () => issue(authority, {} as never), /for a `node` or for a `client`/],
    ['a wildcard', () => issue(authority, { node: 'n1', hosts: ['*.example'] }), /hosts: "\*.example" is neither/],
    ['no days', () => issue(authority, { node: 'n1', days: 0 }), /days: 0 /],
    ['days without end', () => createAuthority({ cluster: 'shop', days: 1e9 }), /days: 1000000000 /],
    ['a date that is none', () => createAuthority({ cluster: 'shop', from: new Date('x') }), /days: 3650 from Invalid/],
    ['before the authority', () => issue(authority, { node: 'n1', ...past }), /and not at 2020-01-01/],
    ['a node as authority', () => issue(n1, { node: 'n2' }), /no authority/],
    ['the key of another', () => issue({ ...authority, key: stranger.key }, { node: 'n1' }), /not the one of its cert/],
    ['no key', () => issue({ ...authority, key: 'x' }, { node: 'n1' }), /no EC P-256 key/],
    ['no certificate', () => issue({ ...authority, cert: 'x' }, { node: 'n1' }), /one certificate in PEM is wanted/],
  ])('%s', async (_, attempt, sentence) => {
    await expect(attempt()).rejects.toEqual(option(sentence))
  })
})

describe('whether it verifies', () => {
  test.each([
    ['a node', n1.cert, authority.cert, undefined],
    ['a client', web.cert, authority.cert, undefined],
    ['the authority itself', authority.cert, authority.cert, undefined],
    ['one of several authorities', n1.cert, stranger.cert + authority.cert, undefined],
    ['another authority of the same name', n1.cert, stranger.cert, 'it is not signed by this CA'],
    ['a node as authority', n1.cert, n2.cert, 'it is not signed by this CA'],
    ['expired', expired.cert, old.cert, 'it expired on 2020-01-02T00:00:00.000Z'],
  ])('%s', (_, cert, ca, expected) => {
    expect(problem(cert, ca)).toBe(expected)
  })

  test('at another time', () => {
    expect(problem(expired.cert, old.cert, new Date('2020-01-01T12:00:00Z'))).toBeUndefined()
    expect(problem(n1.cert, authority.cert, past.from)).toMatch(/^it is not valid before /)
  })
})

describe('Node believes them', () => {
  /** What each side sees of the other over TLS 1.3, both asked for a certificate. */
  async function handshake(server: Tls, client: Tls): Promise<{ server: TLSSocket; client: TLSSocket }> {
    const common = { minVersion: 'TLSv1.3', rejectUnauthorized: false } as const
    const listener = createServer({ ...server, ...common, requestCert: true }).listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const accepted = once(listener, 'secureConnection') as Promise<[TLSSocket]>
    const { port } = listener.address() as { port: number }
    const dialled = connect({ ...client, ...common, port, checkServerIdentity: () => undefined })
    const [[socket]] = await Promise.all([accepted, once(dialled, 'secureConnect')])
    dialled.destroy()
    socket.destroy()
    listener.close()
    return { server: socket, client: dialled }
  }

  test('nodes of one authority, in both directions', async () => {
    const { server, client } = await handshake(n1, n2)
    expect([server.authorized, client.authorized]).toEqual([true, true])
  })

  test('a client may dial and not listen', async () => {
    const { server, client } = await handshake(web, web)
    expect(server.authorized).toBe(true)
    expect([client.authorized, client.authorizationError]).toEqual([false, 'INVALID_PURPOSE'])
  })

  test('nobody of another authority, and nobody expired', async () => {
    const other = await issue(stranger, { node: 'n2' })
    const { server, client } = await handshake(n1, other)
    expect([server.authorized, client.authorized]).toEqual([false, false])
    const late = await handshake({ ...n1, ca: old.cert }, expired)
    expect([late.server.authorized, String(late.server.authorizationError)]).toEqual([false, 'CERT_HAS_EXPIRED'])
  })

  test('HTTPS reaches a node as localhost, 127.0.0.1 and under its hosts, and under no other name', async () => {
    const listener = createServer(n1, (socket) => socket.end('HTTP/1.1 204 No Content\r\n\r\n')).listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const { port } = listener.address() as { port: number }
    const ask = (servername: string): Promise<unknown> =>
      new Promise((resolve) => {
        const options = { host: '127.0.0.1', port, ca: n1.ca, agent: false as const, servername }
        const asked = request(options, (response) => resolve(response.resume().statusCode))
        asked.on('error', (error: NodeJS.ErrnoException) => resolve(error.code)).end()
      })
    expect(await ask('localhost')).toBe(204)
    expect(await ask('kv1.example')).toBe(204)
    expect(await ask('')).toBe(204) // then the address counts: 127.0.0.1
    expect(await ask('kv2.example')).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
    listener.close()
  })
})

describe('a folder', () => {
  const mode = async (path: string): Promise<number> => (await stat(join(directory, path))).mode & 0o777

  test('is for its owner alone, and read back as the option of a transport', async () => {
    const folder = join(directory, 'nodes', 'n1')
    writeFolder(folder, n1)
    expect(readTls(folder)).toEqual({ ca: n1.ca, cert: n1.cert, key: n1.key })
    for (const name of ['ca.pem', 'cert.pem', 'key.pem']) expect(await mode(`nodes/n1/${name}`)).toBe(0o600)
    expect([await mode('nodes'), await mode('nodes/n1')]).toEqual([0o700, 0o700])
  })

  test('is never overwritten unless one says so', async () => {
    writeFolder(directory, n1)
    expect(() => writeFolder(directory, n2)).toThrow(/^REFUSED: .*key\.pem exists already/)
    expect(await readFile(join(directory, 'key.pem'), 'utf8')).toBe(n1.key)
    writeFolder(directory, n2, { force: true })
    expect(readTls(directory).key).toBe(n2.key)
    expect(await mode('key.pem')).toBe(0o600)
  })

  test('may hold a list of who is denied', async () => {
    writeFolder(directory, n1)
    await writeFile(join(directory, 'deny.txt'), `# lost\n${n2.fingerprint}  # a laptop\n\n raft://shop/n3\n`)
    expect(readTls(directory).deny).toEqual([n2.fingerprint, 'raft://shop/n3'])
  })

  test('that is not whole is an error that names the file', () => {
    expect(() => readTls(directory)).toThrow(`INVALID_OPTION: ${join(directory, 'ca.pem')} cannot be read`)
  })
})
