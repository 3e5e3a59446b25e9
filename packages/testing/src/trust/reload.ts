import { issue } from '@raftkit/certificates'
import type { Tls } from '@raftkit/links'
import { expect, test } from 'vitest'
import { type TestNode, up } from '../node.ts'
import { until, wait } from '../until.ts'
import { a, authority, b, type Create, other, reasons, showing, starting, transportOf } from './nodes.ts'

export function reload(create: Create): void {
  const node = starting(create)

  async function linked(of: { a: Tls; b: Tls }): Promise<{ one: TestNode; two: TestNode }> {
    const one = await node('a', { tls: () => of.a })
    const two = await node('b', { tls: () => of.b })
    one.transport.setPeers([two.peer])
    two.transport.setPeers([one.peer])
    await up(one, two)
    return { one, two }
  }

  test('a certificate that is denied from now on is cut, kept out, and let in again when it is denied no more', async () => {
    const of = { a: showing(a), b: showing(b) }
    const { one, two } = await linked(of)
    of.a = showing(a, authority.cert, [b.fingerprint.replaceAll(':', '').toLowerCase()])
    transportOf(one).reload()
    await until(() => one.state(two) === 'down' && two.state(one) === 'down')
    await until(() => reasons('b').includes('this node was turned down: its certificate is denied'))
    await wait(300)
    expect(one.state(two)).toBe('down')
    expect(reasons('a')).toContain('its certificate is denied')
    of.a = showing(a)
    transportOf(one).reload()
    await up(one, two)
  })

  test('new certificates, then a new authority, without a moment in which the link could not be', async () => {
    const of = { a: showing(a), b: showing(b) }
    const { one, two } = await linked(of)
    const both = authority.cert + other.cert
    of.a = showing(await issue(other, { node: 'a' }), both)
    of.b = showing(await issue(other, { node: 'b' }), both)
    for (const each of [one, two]) transportOf(each).reload()
    await wait(100)
    expect([one.links, two.links]).toEqual([['b up'], ['a up']])
    // Only the new authority: what was shown before is of the old one.
    of.a = { ...of.a, ca: other.cert }
    transportOf(one).reload()
    // The other may see the new connections before it sees the end of the old ones.
    await until(() => one.links.length === 3)
    await up(one, two)
    const before = [one.links.length, two.links.length]
    of.b = { ...of.b, ca: other.cert }
    transportOf(two).reload()
    await wait(100)
    expect([one.links.length, two.links.length]).toEqual(before)
    one.send(two, 'still here')
    await until(() => two.texts.includes('still here'))
  })

  test.each<[string, object]>([
    ['no certificate in `ca`', { ca: 'nonsense' }],
    ['cannot be used', { key: b.key }],
    ['cannot be used', { cert: 'nonsense' }],
    ['wants key', { key: undefined }],
    ['cannot deny "raft:/c/b"', { deny: ['raft:/c/b'] }],
  ])('what cannot be used changes nothing: it %s', async (why, wrong) => {
    const of = { a: showing(a), b: showing(b) }
    const { one, two } = await linked(of)
    of.a = { ...of.a, ...wrong }
    expect(() => transportOf(one).reload()).toThrow(why)
    expect(() => transportOf(one).reload()).toThrow('INVALID_OPTION')
    one.send(two, 'still here')
    await until(() => two.texts.includes('still here'))
    expect(one.links).toEqual(['b up'])
    expect(() => create({ tls: of.a })).toThrow('INVALID_OPTION')
    await expect(node('x', { tls: () => of.a })).rejects.toThrow('INVALID_OPTION')
  })

  test('a function that throws, and a transport without `tls`, say so', async () => {
    const throwing = () => {
      throw new Error('no such file')
    }
    await expect(node('x', { tls: throwing })).rejects.toThrow('no such file')
    expect(() => create({}).reload()).toThrow('INVALID_OPTION')
  })
}
