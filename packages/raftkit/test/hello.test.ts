import { isRaftkitError } from '@raftkit/contract'
import { describe, expect, test } from 'vitest'
import { admit, decodeHello, encodeHello, type Hello } from '../src/hello.ts'
import golden from './golden/hellos.json' with { type: 'json' }

const own: Hello = {
  cluster: 'counters',
  node: 'n1',
  incarnation: '1'.repeat(32),
  genesis: 'c'.repeat(32),
  protocol: 'raft',
  machineVersion: 3,
}
const everyone = () => true
const nobody = () => false
const peer: Hello = { ...own, node: 'n2', incarnation: '2'.repeat(32) }

describe('a hello', () => {
  test('has the bytes of the golden vectors', () => {
    expect(golden.length).toBeGreaterThan(1)
    for (const { hex, ...hello } of golden) {
      expect(Buffer.from(encodeHello(hello)).toString('hex')).toBe(hex)
      expect(decodeHello(Uint8Array.from(Buffer.from(hex, 'hex')))).toEqual(hello)
    }
  })

  test('cut anywhere, or with any bit flipped, is another hello or a typed error, never anything else', () => {
    const bytes = encodeHello(peer)
    for (let end = 0; end < bytes.length; end++) expect(outcome(bytes.slice(0, end))).toBe('MALFORMED')
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = bytes.slice()
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      expect(['another hello', 'MALFORMED', 'UNKNOWN_FORMAT']).toContain(outcome(flipped))
    }
  })

  test('with a length of four gigabytes allocates nothing for it', () => {
    const bytes = encodeHello(peer)
    bytes.fill(255, 1, 5)
    expect(outcome(bytes)).toBe('MALFORMED')
  })
})

describe('admit lets in', () => {
  test('a peer of the same cluster, founding and protocol', () => {
    expect(admit(encodeHello(peer), own, undefined, everyone)).toEqual(peer)
  })

  test('a peer that has no genesis yet, and any peer while this node has none', () => {
    expect(admit(encodeHello({ ...peer, genesis: '' }), own, undefined, everyone).node).toBe('n2')
    expect(admit(encodeHello(peer), { ...own, genesis: '' }, undefined, nobody).node).toBe('n2')
  })

  test('a peer whose certificate names it, and the role of a peer, exactly', () => {
    const proven = ['dns', 'raft://counters/n2', 'urn:raftkit:role:peer']
    expect(admit(encodeHello(peer), own, proven, everyone).node).toBe('n2')
  })
})

describe('admit refuses', () => {
  const role = 'urn:raftkit:role:peer'
  const cases: [string, Partial<Hello>, readonly string[] | undefined, RegExp][] = [
    ['another cluster', { cluster: 'orders' }, undefined, /this is cluster counters/],
    ['another founding', { genesis: 'd'.repeat(32) }, undefined, /another founding/],
    ['another protocol', { protocol: 'bft' }, undefined, /speaks bft/],
    ['its own id', { node: 'n1' }, undefined, /own id/],
    [
      'a certificate of another node',
      {},
      ['raft://counters/n3', role],
      /does not name raft:\/\/counters\/n2, but raft:\/\/counters\/n3$/,
    ],
    ['a certificate of another cluster', {}, ['raft://orders/n2', role], /does not name raft:\/\/counters\/n2/],
    ['a certificate of no node', {}, [], /does not name .*, but none of that kind/],
    ['a name that only contains it', {}, ['raft://counters/n22', 'x raft://counters/n2', role], /does not name/],
    [
      'a name written otherwise',
      {},
      ['RAFT://counters/n2', 'raft://counters/n2/', 'raft://counters/*', role],
      /does not name/,
    ],
    [
      'a certificate of a client',
      {},
      ['raft://counters/n2', 'urn:raftkit:role:client'],
      /not for a peer: it does not name urn:raftkit:role:peer, but urn:raftkit:role:client$/,
    ],
    ['a certificate of no role', {}, ['raft://counters/n2'], /not for a peer/],
    ['a role that only contains it', {}, ['raft://counters/n2', 'urn:raftkit:role:peers'], /not for a peer/],
  ]
  test.each(cases)('%s', (_, difference, proven, message) => {
    const bytes = encodeHello({ ...peer, ...difference })
    expect(() => admit(bytes, own, proven, everyone)).toThrow(message)
    expect(() => admit(bytes, own, proven, everyone)).toThrow(expect.objectContaining({ code: 'REFUSED' }))
  })

  test('whoever belongs to no cluster yet, and is not expected in this one; but nobody with its genesis', () => {
    const newcomer = encodeHello({ ...peer, genesis: '' })
    expect(() => admit(newcomer, own, undefined, nobody)).toThrow(
      /n2 of cluster counters is refused: no configuration lists it/,
    )
    expect(admit(newcomer, own, undefined, (node) => node === 'n2').node).toBe('n2')
    expect(admit(encodeHello(peer), own, undefined, nobody).node).toBe('n2')
    expect(admit(newcomer, { ...own, genesis: '' }, undefined, nobody).node).toBe('n2')
  })

  test('what is no hello', () => {
    for (const bytes of [new Uint8Array(), new TextEncoder().encode('GET / HTTP/1.1\r\n')])
      expect(() => admit(bytes, own, undefined, everyone)).toThrow(expect.objectContaining({ code: 'REFUSED' }))
  })
})

function outcome(bytes: Uint8Array): string {
  try {
    decodeHello(bytes)
    return 'another hello'
  } catch (error) {
    if (isRaftkitError(error)) return error.code
    throw error
  }
}
