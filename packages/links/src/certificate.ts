import type { X509Certificate } from 'node:crypto'
import { Refusal } from './refusal.ts'

/** One entry of Node's rendering. A value that could be mistaken for more than one entry stands in quotes, with escapes. */
const entry = /([A-Za-z0-9 ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y

/** All URIs, exactly as written; one that needs quotes is none of ours. Nothing at all if any part cannot be read. */
export function urisOf(subjectAltName: string | undefined): readonly string[] {
  if (subjectAltName === undefined) return []
  const uris: string[] = []
  entry.lastIndex = 0
  while (entry.lastIndex < subjectAltName.length) {
    const match = entry.exec(subjectAltName)
    if (!match) {
      entry.lastIndex = 0
      return []
    }
    const [, kind, value] = match as unknown as [string, string, string]
    if (kind === 'URI' && !value.startsWith('"')) uris.push(value)
  }
  return uris
}

/** More than a chain of certificates has. */
const longest = 10

/** The certificate, then that which signed it, and so on, as far as they are known. */
export function chainOf(certificate: X509Certificate): readonly X509Certificate[] {
  const chain: X509Certificate[] = []
  let next: X509Certificate | undefined = certificate
  while (
    next &&
    chain.length < longest &&
    !chain.some(({ fingerprint256 }) => fingerprint256 === next!.fingerprint256)
  ) {
    chain.push(next)
    next = next.issuerCertificate
  }
  return chain
}

/** False for what cannot be read, too. */
export function isSignedBy(authorities: readonly X509Certificate[], certificate: X509Certificate): boolean {
  try {
    return isSigned(authorities, certificate)
  } catch {
    return false
  }
}

function isSigned(authorities: readonly X509Certificate[], certificate: X509Certificate): boolean {
  return chainOf(certificate).some((each) =>
    authorities.some(
      (authority) =>
        authority.fingerprint256 === each.fingerprint256 ||
        (each.checkIssued(authority) && each.verify(authority.publicKey)),
    ),
  )
}

const unsigned = 'its certificate is not signed by a CA of this node'
const unverified: Readonly<Record<string, string>> = {
  UNABLE_TO_GET_ISSUER_CERT: unsigned,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unsigned,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unsigned,
  SELF_SIGNED_CERT_IN_CHAIN: unsigned,
  DEPTH_ZERO_SELF_SIGNED_CERT: unsigned,
  CERT_SIGNATURE_FAILURE: unsigned,
  CERT_UNTRUSTED: unsigned,
  INVALID_CA: 'its certificate is signed by one that is no CA',
  INVALID_PURPOSE: 'its certificate is for another use: extended key usage wants clientAuth and serverAuth, or nothing',
}

/** Why a certificate did not verify. `code`: as OpenSSL has it. */
export function unverifiedBecause(code: string, certificate: X509Certificate, now: number = Date.now()): Refusal {
  const day = (date: string) => new Date(date).toISOString()
  const sentence =
    code === 'CERT_HAS_EXPIRED'
      ? Date.parse(certificate.validTo) < now
        ? `its certificate expired on ${day(certificate.validTo)}`
        : 'a certificate that signed its own has expired'
      : code === 'CERT_NOT_YET_VALID'
        ? `its certificate is valid from ${day(certificate.validFrom)} on: is a clock wrong?`
        : (unverified[code] ?? `its certificate does not verify: ${code}`)
  return new Refusal('refused', sentence)
}
