// The library beneath is wired together by decorators and wants this before it.
import 'reflect-metadata'
import type { webcrypto } from 'node:crypto'
import {
  BasicConstraintsExtension,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const hour = 3_600_000

/** A root, an authority that it signed, and what that one signs for peers. All in PEM. */
export async function intermediate(): Promise<{
  readonly root: string
  readonly between: string
  issue(name: string): Promise<{ readonly cert: string; readonly key: string }>
}> {
  const newKeys = () => crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  let serial = 1
  const common = () => ({
    serialNumber: `0${serial++}`,
    notBefore: new Date(Date.now() - hour),
    notAfter: new Date(Date.now() + hour),
    signingAlgorithm: algorithm,
  })
  const authority = new BasicConstraintsExtension(true, undefined, true)
  const rootKeys = await newKeys()
  const root = await X509CertificateGenerator.createSelfSigned({
    ...common(),
    name: 'CN=root',
    keys: rootKeys,
    extensions: [authority],
  })
  const signed = (
    subject: string,
    keys: webcrypto.CryptoKeyPair,
    by: X509Certificate,
    signingKey: webcrypto.CryptoKey,
  ) =>
    X509CertificateGenerator.create({
      ...common(),
      subject: `CN=${subject}`,
      issuer: by.subjectName,
      publicKey: keys.publicKey,
      signingKey,
      extensions: [
        subject === 'between'
          ? authority
          : new SubjectAlternativeNameExtension([
              { type: 'url', value: subject },
              { type: 'url', value: 'urn:raftkit:role:peer' },
            ]),
      ],
    })
  const keys = await newKeys()
  const between = await signed('between', keys, root, rootKeys.privateKey)
  return {
    root: root.toString('pem'),
    between: between.toString('pem'),
    async issue(name) {
      const own = await newKeys()
      const cert = await signed(name, own, between, keys.privateKey)
      const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', own.privateKey)).toString('base64')
      return {
        cert: `${cert.toString('pem')}\n${between.toString('pem')}`,
        key: `-----BEGIN PRIVATE KEY-----\n${der.replace(/.{64}(?=.)/g, '$&\n')}\n-----END PRIVATE KEY-----\n`,
      }
    },
  }
}
