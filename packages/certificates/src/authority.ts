// The library beneath is wired together by decorators and wants this before it.
import 'reflect-metadata'
import type { webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'
import { RaftkitError } from '@raftkit/contract'
import { fingerprintOf, inspect, one, roleUri } from './inspect.ts'

/** A key and its certificate, both PEM. Of an authority, the key is the secret of all secrets: who has it can be any member. */
export interface Authority {
  readonly cert: string
  readonly key: string
}

/** What one node or one client needs: PEM, and as the `tls` option of a transport, as it is. */
export interface Issued {
  readonly ca: string
  readonly cert: string
  readonly key: string
  /** SHA-256 of the certificate, `AB:CD:…`: what goes into `deny` when it has to go. */
  readonly fingerprint: string
}

export interface Validity {
  /** From when on it is valid. Default: five minutes ago, for clocks that differ. */
  readonly from?: Date
  /** For how long. Default 3,650 for an authority and 365 for what it issues, which never outlives the authority. */
  readonly days?: number
}

export interface AuthorityOptions extends Validity {
  readonly cluster: string
}

/** `node`: a member or observer. `client`: someone who asks apps/kv. One of the two. */
export type IssueOptions = Validity &
  (
    | {
        readonly node: string
        readonly client?: never
        /** Under which names and addresses HTTPS reaches it, besides `localhost`, `127.0.0.1` and `::1`. Between nodes, they mean nothing. */
        readonly hosts?: readonly string[]
      }
    | { readonly client: string; readonly node?: never; readonly hosts?: never }
  )

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const dayMs = 86_400_000
const skewMs = 5 * 60_000
const loopback = ['localhost', '127.0.0.1', '::1']

/** A CA of one cluster. It signs nothing but certificates of nodes and clients. Rejects `INVALID_OPTION`. */
export async function createAuthority({ cluster, from, days = 3650 }: AuthorityOptions): Promise<Authority> {
  named('cluster', cluster)
  const keys = await newKeys()
  const cert = await X509CertificateGenerator.createSelfSigned({
    name: [{ O: ['Raftkit'] }, { CN: [`${cluster} development CA`] }],
    serialNumber: serial(),
    ...validity(from ?? new Date(Date.now() - skewMs), days),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      new SubjectAlternativeNameExtension([{ type: 'url', value: `raft://${cluster}` }]),
    ],
  })
  return { cert: pem(cert.toString('pem')), key: await keyText(keys.privateKey) }
}

/** A key and a certificate of one node or one client. Rejects `INVALID_OPTION`, also if the authority is none, or not valid at that time. */
export async function issue(authority: Authority, options: IssueOptions): Promise<Issued> {
  const { node, client, hosts = [], days = 365 } = options
  if ((node === undefined) === (client === undefined))
    throw new RaftkitError('INVALID_OPTION', 'a certificate is for a `node` or for a `client`: name one of the two')
  const role = node === undefined ? 'client' : 'peer'
  const name = named(node === undefined ? 'client' : 'node', node ?? client)
  const ca = one(authority.cert)
  const { cluster, role: issuer, from: caFrom, until: caUntil } = inspect(authority.cert)
  if (issuer !== 'authority' || cluster === undefined)
    throw new RaftkitError('INVALID_OPTION', 'this is no authority of a cluster: make one with createAuthority')
  const from = options.from ?? new Date(Math.max(Date.now() - skewMs, caFrom.getTime()))
  if (from < caFrom || from >= caUntil)
    throw new RaftkitError(
      'INVALID_OPTION',
      `the authority is valid from ${caFrom.toISOString()} until ${caUntil.toISOString()}, and not at ${from.toISOString()}: make a new one`,
    )
  const { notBefore, notAfter } = validity(from, days)
  const keys = await newKeys()
  const names: JsonGeneralName[] = [
    { type: 'url', value: `raft://${cluster}/${name}` },
    { type: 'url', value: roleUri(role) },
    ...(role === 'peer' ? [...new Set([...loopback, ...hosts])].map(hostName) : []),
  ]
  const cert = await X509CertificateGenerator.create({
    subject: [{ O: ['Raftkit'] }, { OU: [cluster] }, { CN: [name] }],
    issuer: ca.subjectName,
    serialNumber: serial(),
    notBefore,
    notAfter: new Date(Math.min(notAfter.getTime(), caUntil.getTime())),
    signingAlgorithm: algorithm,
    signingKey: await signingKey(authority.key),
    publicKey: keys.publicKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      // A node dials and is dialled; a client only dials, so that it can pose as nobody's server.
      new ExtendedKeyUsageExtension([
        ...(role === 'peer' ? [ExtendedKeyUsage.serverAuth] : []),
        ExtendedKeyUsage.clientAuth,
      ]),
      new SubjectAlternativeNameExtension(names),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(ca.publicKey),
    ],
  })
  if (!(await cert.verify({ publicKey: ca.publicKey, signatureOnly: true })))
    throw new RaftkitError('INVALID_OPTION', 'the key of the authority is not the one of its certificate')
  const text = pem(cert.toString('pem'))
  return {
    ca: authority.cert,
    cert: text,
    key: await keyText(keys.privateKey),
    fingerprint: fingerprintOf(text),
  }
}

function named(what: string, name: unknown): string {
  // As raftkit has it for the names of nodes and clusters.
  if (typeof name === 'string' && /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) return name
  throw new RaftkitError(
    'INVALID_OPTION',
    `${what}: ${JSON.stringify(name)} is not at most 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit`,
  )
}

function validity(from: Date, days: number): { readonly notBefore: Date; readonly notAfter: Date } {
  const notBefore = new Date(Math.floor(from.getTime() / 1000) * 1000)
  const notAfter = new Date(notBefore.getTime() + days * dayMs)
  if (!(days > 0) || !(notAfter.getTime() < Date.UTC(9999, 0)))
    throw new RaftkitError(
      'INVALID_OPTION',
      `days: ${days} from ${String(from)} on is no time that a certificate can hold`,
    )
  return { notBefore, notAfter }
}

function hostName(host: string): JsonGeneralName {
  if (isIP(host)) return { type: 'ip', value: host }
  if (/^(?!-)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*$/i.test(host)) return { type: 'dns', value: host }
  throw new RaftkitError('INVALID_OPTION', `hosts: ${JSON.stringify(host)} is neither a host name nor an IP address`)
}

/** 16 random bytes, positive and without a leading zero, as X.509 wants them. */
function serial(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[0] = (bytes[0]! & 0x7f) | 0x40
  return Buffer.from(bytes).toString('hex')
}

const newKeys = (): Promise<webcrypto.CryptoKeyPair> => crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])

async function keyText(key: webcrypto.CryptoKey): Promise<string> {
  const text = Buffer.from(await crypto.subtle.exportKey('pkcs8', key)).toString('base64')
  return `-----BEGIN PRIVATE KEY-----\n${text.replace(/.{64}(?=.)/g, '$&\n')}\n-----END PRIVATE KEY-----\n`
}

async function signingKey(text: string): Promise<webcrypto.CryptoKey> {
  const body = /-----BEGIN PRIVATE KEY-----([^-]+)-----END PRIVATE KEY-----/.exec(text)?.[1]
  try {
    return await crypto.subtle.importKey('pkcs8', Buffer.from(body ?? '', 'base64'), algorithm, false, ['sign'])
  } catch (cause) {
    throw new RaftkitError('INVALID_OPTION', 'the key of the authority is no EC P-256 key in PEM (PKCS #8)', { cause })
  }
}

const pem = (text: string): string => `${text.trim()}\n`
