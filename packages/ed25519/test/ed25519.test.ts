import { createPublicKey, verify } from 'node:crypto'
import { chmodSync, mkdtempSync, readFileSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isRaftkitError } from '@raftkit/contract'
import { describe, expect, test } from 'vitest'
import { admitKey, ed25519, generateKey, publicKey, readKey, sha256, sign, verifier, writeKey } from '../src/index.ts'

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))
const text = (words: string): Uint8Array => new TextEncoder().encode(words)
const refused = (run: () => unknown, code: string): void =>
  expect(run).toThrowError(expect.objectContaining({ code }) as Error)

/** RFC 8032, §7.1, tests 1 to 3. */
const published = [
  [
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '',
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  ],
  [
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    '72',
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  ],
  [
    'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    'af82',
    '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  ],
].map(([key, bytes, signature]) => ({ key: hex(key!), bytes: hex(bytes!), signature: hex(signature!) }))

/** Encodings of points of order 1, 2, 4 and 8, with either sign, and in all ways that fit into 32 bytes. */
const smallOrder = [
  '0100000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000080',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0000000000000000000000000000000000000000000000000000000000000080',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
]

describe('the rule', () => {
  test('what RFC 8032 publishes is signed', async () => {
    expect(await verifier().verify(published)).toEqual([true, true, true])
  })

  test('another text, another key, a bit flipped anywhere in the signature, or another length is no signature', async () => {
    const [one] = published
    const checks = [
      { ...one!, bytes: text('x') },
      { ...one!, key: published[1]!.key },
      { ...one!, signature: new Uint8Array(0) },
      { ...one!, signature: one!.signature.slice(0, 63) },
      { ...one!, signature: new Uint8Array([...one!.signature, 0]) },
      { ...one!, key: new Uint8Array(0) },
      { ...one!, key: new Uint8Array(33) },
    ]
    for (let bit = 0; bit < 512; bit++) {
      const signature = one!.signature.slice()
      signature[bit >> 3]! ^= 1 << (bit & 7)
      checks.push({ ...one!, signature })
    }
    expect((await verifier().verify(checks)).filter(Boolean)).toEqual([])
  })

  test('a second way of writing S is refused: nobody makes two signatures of one', async () => {
    const order = 2n ** 252n + 27742317777372353535851937790883648493n
    const { signature, ...rest } = published[0]!
    const s = BigInt(`0x${Buffer.from(signature.slice(32)).reverse().toString('hex')}`) + order
    const malleable = new Uint8Array([
      ...signature.slice(0, 32),
      ...Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse(),
    ])
    expect(await verifier().verify([{ ...rest, signature: malleable }])).toEqual([false])
  })

  test('a key of small order signs nothing, though OpenSSL alone finds texts that it signed', async () => {
    const key = hex(smallOrder[0]!)
    // With the neutral element for R and the key, and S = 0, the equation holds for every text.
    const signature = new Uint8Array([...key, ...new Uint8Array(32)])
    const der = Buffer.concat([hex('302a300506032b6570032100'), key])
    const known = createPublicKey({ key: der, format: 'der', type: 'spki' })
    expect(verify(null, text('anything'), known, signature)).toBe(true)
    for (const each of smallOrder)
      expect(await verifier().verify([{ key: hex(each), bytes: text('anything'), signature }])).toEqual([false])
  })

  test('a few at once and many beside are judged alike, in order', async () => {
    const wrong = { ...published[0]!, bytes: text('x') }
    const many = Array.from({ length: 50 }, (_, i) => (i % 3 === 0 ? wrong : published[i % 3]!))
    const expected = many.map((_, i) => i % 3 !== 0)
    expect(await verifier().verify(many)).toEqual(expected)
    expect(await verifier({ threads: 1 }).verify(many)).toEqual(expected)
    expect(verifier({ threads: 0 }).verify(many)).toEqual(expected)
    expect(await verifier().verify([])).toEqual([])
    refused(() => verifier({ threads: -1 }), 'INVALID_OPTION')
  })

  test('batches that overlap end, each with its own flags', async () => {
    const { verify } = verifier()
    const wrong = { ...published[0]!, bytes: text('x') }
    const batches = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        verify(Array.from({ length: 9 }, () => (i % 2 === 0 ? wrong : published[2]!))),
      ),
    )
    for (const [i, flags] of batches.entries()) expect(new Set(flags)).toEqual(new Set([i % 2 === 1]))
  })

  test('more keys than are kept ready are judged all the same', async () => {
    const { verify } = verifier({ threads: 0 })
    const off = Array.from({ length: 5000 }, (_, i) => ({ ...published[0]!, key: sha256(text(`key ${i}`)) }))
    expect((await verify(off)).some(Boolean)).toBe(false)
    expect(await verify(published)).toEqual([true, true, true])
  })
})

describe('admission', () => {
  test('keys of small order, and keys written in a second way, are refused', () => {
    for (const each of smallOrder) refused(() => admitKey(hex(each)), 'REFUSED')
    // y = p + 3: a point that has another encoding.
    refused(() => admitKey(hex(`f0${'ff'.repeat(30)}7f`)), 'REFUSED')
    refused(() => admitKey(new Uint8Array(31)), 'REFUSED')
  })

  test('what is no point of the curve is refused, what is one is admitted: about half of all numbers', () => {
    let points = 0
    for (let i = 0; i < 64; i++) {
      const key = sha256(text(`point ${i}`))
      try {
        admitKey(key)
        points++
      } catch (error) {
        expect(isRaftkitError(error, 'REFUSED')).toBe(true)
      }
    }
    expect(points).toBeGreaterThan(16)
    expect(points).toBeLessThan(48)
    for (const { key } of published) admitKey(key)
    for (let i = 0; i < 16; i++) admitKey(generateKey().public)
  })

  test('people write a key as 64 digits', () => {
    const { public: key } = generateKey()
    expect(publicKey(Buffer.from(key).toString('hex'))).toEqual(key)
    refused(() => publicKey('abc'), 'INVALID_OPTION')
    refused(() => publicKey(smallOrder[3]!), 'REFUSED')
  })
})

describe('key files', () => {
  const file = (): string => join(mkdtempSync(join(tmpdir(), 'raftkit-ed25519-')), 'deep', 'key.pem')

  test('a key that was written is read, and signs as before', async () => {
    const path = file()
    const key = generateKey()
    writeKey(path, key)
    expect(readKey(path)).toEqual(key)
    const signatures = ed25519(readKey(path))
    expect(signatures.key).toEqual(key.public)
    const bytes = text('to be signed')
    const signature = await signatures.sign(bytes)
    expect(signature).toEqual(sign(key, bytes))
    expect(await signatures.verify([{ key: key.public, bytes, signature }])).toEqual([true])
  })

  test('it is for its owner alone, and is replaced only by force', () => {
    const path = file()
    writeKey(path, generateKey())
    if (process.platform !== 'win32') expect(statSync(path).mode & 0o777).toBe(0o600)
    const before = readFileSync(path, 'utf8')
    refused(() => writeKey(path, generateKey()), 'REFUSED')
    expect(readFileSync(path, 'utf8')).toBe(before)
    writeKey(path, generateKey(), { force: true })
    expect(readFileSync(path, 'utf8')).not.toBe(before)
  })

  test.runIf(process.platform !== 'win32')('one that others may read is refused', () => {
    const path = file()
    writeKey(path, generateKey())
    chmodSync(path, 0o640)
    refused(() => readKey(path), 'REFUSED')
  })

  test('what is no Ed25519 key is refused in words', () => {
    refused(() => readKey(file()), 'INVALID_OPTION')
    refused(() => ed25519('no key'), 'INVALID_OPTION')
  })
})

test('sha256 is SHA-256', () => {
  const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
  expect(Buffer.from(sha256(text('abc'))).toString('hex')).toBe(abc)
})
