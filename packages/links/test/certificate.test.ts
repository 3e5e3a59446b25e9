import { X509Certificate } from 'node:crypto'
import { createAuthority, issue } from '@raftkit/certificates'
import type { Receiver } from '@raftkit/contract'
import { describe, expect, test } from 'vitest'
import { isSignedBy, unverifiedBecause, urisOf } from '../src/certificate.ts'
import { Calling, Handshake, Meeting } from '../src/handshake.ts'
import { Credentials, type TlsEnd } from '../src/tls.ts'

const authority = await createAuthority({ cluster: 'c' })
const other = await createAuthority({ cluster: 'c' })
const node = await issue(authority, { node: 'a', hosts: ['kv.example', '10.0.0.7'] })
const { ca, cert, key } = node

/** A TLS socket whose handshake is done, as OpenSSL has judged it. */
const end = (of: Partial<TlsEnd> = {}): TlsEnd => ({
  authorized: true,
  getPeerX509Certificate: () => new X509Certificate(cert),
  isSessionReused: () => false,
  ...of,
})

/** A refusal for that reason; it is no error. */
const saying = (why: string): object => expect.objectContaining({ reason: expect.stringContaining(why) })

describe('the names of a certificate', () => {
  test('are the URIs of its subject alternative name, and no DNS name, address or common name', () => {
    const names = ['raft://c/a', 'urn:raftkit:role:peer']
    expect(urisOf(new X509Certificate(cert).subjectAltName)).toEqual(names)
    expect(new Credentials({ ca, cert, key }).judge(end()).names).toEqual(names)
  })

  test.each<[string, string | undefined, readonly string[]]>([
    ['nothing', undefined, []],
    ['an empty text', '', []],
    ['one URI', 'URI:raft://c/a', ['raft://c/a']],
    ['URIs among others', 'DNS:x, URI:raft://c/a, IP Address:10.0.0.1, URI:urn:r', ['raft://c/a', 'urn:r']],
    // What Node puts in quotes could be taken for more entries than there are.
    ['a URI within a DNS name', 'DNS:"x, URI:raft://c/b"', []],
    ['a URI within a URI', 'URI:"x, URI:raft://c/b", URI:raft://c/a', ['raft://c/a']],
    ['a quote within quotes', 'DNS:"\\", URI:raft://c/b", URI:raft://c/a', ['raft://c/a']],
    ['a URI that needs quotes', 'URI:"raft://c/a"', []],
    ['quotes that do not end', 'URI:raft://c/a, DNS:"x, URI:raft://c/b', []],
    ['an entry of no kind', 'URI:raft://c/a, nonsense', []],
  ])('%s', (_, text, names) => {
    expect(urisOf(text)).toEqual(names)
    expect(urisOf(text)).toEqual(names)
  })
})

describe('a certificate is judged', () => {
  const credentials = new Credentials({ ca, cert, key })

  test.each<[string, Partial<TlsEnd>, string]>([
    ['that did not verify', { authorized: false, authorizationError: 'CERT_HAS_EXPIRED' }, 'has expired'],
    [
      'that did not verify, told by an error',
      { authorized: false, authorizationError: { code: 'CERT_UNTRUSTED' } },
      'not signed by a CA',
    ],
    ['for reasons that are new to us', { authorized: false, authorizationError: 'X' }, 'does not verify: X'],
    ['for no reason at all', { authorized: false }, 'does not verify'],
    ['that is not there', { getPeerX509Certificate: () => undefined }, 'it shows no certificate'],
    ['of a session that is resumed', { isSessionReused: () => true }, 'resumes'],
  ])('%s: it is turned down', (_, of, why) => {
    expect(() => credentials.judge(end(of))).toThrow(
      expect.objectContaining({ kind: 'refused', reason: expect.stringContaining(why) }),
    )
  })

  test('by the authorities of now, not by those of when its handshake began', () => {
    let tls = { ca, cert, key }
    const credentials = new Credentials(() => tls)
    expect(credentials.judge(end()).names).toContain('raft://c/a')
    tls = { ca: other.cert, cert, key }
    credentials.reload()
    expect(() => credentials.judge(end())).toThrow(saying('not signed by a CA of this node'))
  })

  test('and when it is not: with TLS, whoever comes without one is turned down before its hello is read', () => {
    const receiver = {
      hello: () => new Uint8Array(3),
      admit: () => {
        throw new Error('asked')
      },
    } as Partial<Receiver> as Receiver
    const handshake = new Handshake({ self: 'a', receiver, life: '00'.repeat(8), maxFrameBytes: 65_536, credentials })
    const calling = new Calling(handshake, 'control')
    expect(() => calling.check(calling.hello(), undefined)).toThrow(saying('it shows no certificate'))
    expect(() => new Meeting(handshake, calling.hello(), 'bulk', undefined, () => {})).toThrow(
      saying('it shows no certificate'),
    )
  })

  test('again once rules have changed, and one that nobody judged never will do', () => {
    let tls = { ca, cert, key, deny: [] as string[] }
    const credentials = new Credentials(() => tls)
    const certificate = credentials.judge(end())
    expect(credentials.objection(certificate)).toBeUndefined()
    const changed = (to: Partial<typeof tls>) => {
      tls = { ca, cert, key, deny: [], ...to }
      credentials.reload()
      return credentials.objection(certificate)?.reason
    }
    expect(changed({})).toBeUndefined()
    expect(changed({ deny: ['raft://c/a'] })).toBe('its certificate is denied')
    expect(changed({ deny: ['raft://c/b', 'ab'.repeat(32)] })).toBeUndefined()
    expect(changed({ deny: [new X509Certificate(ca).fingerprint256] })).toBeUndefined()
    expect(changed({ deny: [node.fingerprint] })).toBe('its certificate is denied')
    expect(changed({ ca: other.cert })).toBe('its certificate is no longer signed by a CA of this node')
    expect(changed({ ca: other.cert + ca })).toBeUndefined()
    expect(credentials.objection({ names: certificate.names })?.reason).toContain('not judged')
  })

  test('signed by one of several authorities, by none, or by itself', () => {
    const [ours, theirs, leaf] = [ca, other.cert, cert].map((pem) => new X509Certificate(pem)) as [
      X509Certificate,
      X509Certificate,
      X509Certificate,
    ]
    expect(isSignedBy([theirs, ours], leaf)).toBe(true)
    expect(isSignedBy([theirs], leaf)).toBe(false)
    expect(isSignedBy([], leaf)).toBe(false)
    expect(isSignedBy([leaf], leaf)).toBe(true)
  })

  test('the day on which it expired, or will be valid, is named', () => {
    const x509 = new X509Certificate(cert)
    const after = Date.parse(x509.validTo) + 1
    expect(unverifiedBecause('CERT_HAS_EXPIRED', x509, after).reason).toMatch(
      /^its certificate expired on \d{4}-\d\d-\d\dT/,
    )
    expect(unverifiedBecause('CERT_HAS_EXPIRED', x509).reason).toBe('a certificate that signed its own has expired')
    expect(unverifiedBecause('CERT_NOT_YET_VALID', x509).reason).toMatch(/^its certificate is valid from \d{4}-/)
  })
})
