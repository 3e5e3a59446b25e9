import 'reflect-metadata'
import { X509Certificate as NodeCertificate } from 'node:crypto'
import {
  BasicConstraintsExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509Certificate,
} from '@peculiar/x509'
import { RaftkitError } from '@raftkit/contract'

/** `peer`: of a node. `other`: whatever it is, no node and no client of Raftkit. */
export type Role = 'authority' | 'peer' | 'client' | 'other'

/** What a certificate says. */
export interface Inspected {
  readonly role: Role
  readonly cluster: string | undefined
  /** Of the node or client. */
  readonly name: string | undefined
  /** Under which HTTPS reaches it. */
  readonly hosts: readonly string[]
  readonly from: Date
  readonly until: Date
  /** SHA-256, `AB:CD:…`. */
  readonly fingerprint: string
}

export const roleUri = (role: 'peer' | 'client'): string => `urn:raftkit:role:${role}`

/** What a certificate in PEM says. It is not verified: `problem` does that. Throws `INVALID_OPTION` if there is not exactly one in it. */
export function inspect(cert: string): Inspected {
  const parsed = one(cert)
  const names = parsed.getExtension(SubjectAlternativeNameExtension)?.names.items ?? []
  const uris = names.filter(({ type }) => type === 'url').map(({ value }) => value)
  const raft = uris.filter((uri) => uri.startsWith('raft://'))
  const [, cluster, name] = /^raft:\/\/([^/]+)(?:\/([^/]+))?$/.exec(raft.length === 1 ? raft[0]! : '') ?? []
  const role = parsed.getExtension(BasicConstraintsExtension)?.ca
    ? 'authority'
    : uris.includes(roleUri('peer'))
      ? 'peer'
      : uris.includes(roleUri('client'))
        ? 'client'
        : 'other'
  return {
    role,
    cluster,
    name,
    hosts: names.filter(({ type }) => type === 'dns' || type === 'ip').map(({ value }) => value),
    from: parsed.notBefore,
    until: parsed.notAfter,
    fingerprint: fingerprintOf(cert),
  }
}

/** Why nodes that trust `ca` (PEM, one or more) would turn it down at that time, in a sentence; undefined if they would not. */
export function problem(cert: string, ca: string, at: Date = new Date()): string | undefined {
  const { from, until, role } = inspect(cert)
  const leaf = new NodeCertificate(cert)
  const issuer = all(ca)
    .map((each) => new NodeCertificate(each.toString('pem')))
    .find((each) => leaf.checkIssued(each) && leaf.verify(each.publicKey))
  if (!issuer) return 'it is not signed by this CA'
  if (at < from) return `it is not valid before ${from.toISOString()}`
  if (at > until) return `it expired on ${until.toISOString()}`
  if (at > new Date(issuer.validTo)) return `its CA expired on ${new Date(issuer.validTo).toISOString()}`
  if (role === 'other') return 'it names no role of Raftkit'
}

export const fingerprintOf = (cert: string): string => new NodeCertificate(cert).fingerprint256

/** The one certificate in a PEM text. */
export function one(pem: string): X509Certificate {
  const certificates = all(pem)
  if (certificates.length === 1) return certificates[0]!
  throw new RaftkitError('INVALID_OPTION', `one certificate in PEM is wanted, and there are ${certificates.length}`)
}

function all(pem: string): X509Certificate[] {
  try {
    return PemConverter.decodeWithHeaders(pem)
      .filter(({ type }) => type === 'CERTIFICATE')
      .map(({ rawData }) => new X509Certificate(rawData))
  } catch (cause) {
    throw new RaftkitError('INVALID_OPTION', 'this is no certificate in PEM', { cause })
  }
}
