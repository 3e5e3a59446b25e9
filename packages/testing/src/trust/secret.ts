import { expect, test } from 'vitest'
import { closeAll, up } from '../node.ts'
import { until } from '../until.ts'
import { a, b, type Create, reasons, reports, showing, starting, transportOf } from './nodes.ts'

const secret = 'the words that only we know, and nobody else'

export function secrets(create: Create): void {
  const node = starting(create)

  test.each([
    ['alone', {}, {}],
    ['and certificates', { tls: showing(a) }, { tls: showing(b) }],
  ])('%s, nodes that know it talk', async (_, ofOne, ofTwo) => {
    const [one, two] = [await node('a', { ...ofOne, secret }), await node('b', { ...ofTwo, secret })]
    one.transport.setPeers([two.peer])
    await up(one, two)
    two.send(one, 'hello')
    await until(() => one.texts.includes('hello'))
  })

  test.each([
    [
      'another',
      'some other words that we do not know at all',
      'it does not prove that it knows the secret of this node',
    ],
    ['none', undefined, 'it asks for a secret, and this node was given none'],
  ])(
    'who knows %s is turned down, whoever dials; both are told, and neither host hears its hello',
    async (_, wrong, why) => {
      for (const wrongDials of [true, false]) {
        const one = await node('a', wrong ? { secret: wrong } : {})
        const two = await node('b', { secret })
        if (wrongDials) one.transport.setPeers([two.peer])
        else two.transport.setPeers([one.peer])
        await until(() => reasons('a').length > 0 && reasons('b').length > 0)
        const told = [reasons('a')[0]!, reasons('b')[0]!].sort((x, y) => x.length - y.length)
        expect(told[0]).toContain(wrongDials || wrong ? why : 'it asks for no secret, and this node was given one')
        expect(told[1]).toBe(`this node was turned down: ${told[0]}`)
        expect([one.links, two.links, two.admitted]).toEqual([[], [], []])
        for (const reason of [...reasons('a'), ...reasons('b')]) expect(reason).not.toContain(secret)
        await closeAll()
      }
    },
  )

  test('beyond loopback either will do, and nothing is reported; without them `insecure` has to be said, and is', async () => {
    await node('a', { secret }, '0.0.0.0:0')
    await node('b', { tls: showing(b) }, '0.0.0.0:0')
    expect([...reasons('a'), ...reasons('b')]).toEqual([])
    await expect(node('x', {}, '0.0.0.0:0')).rejects.toThrow('pass `tls`, or `secret`, or `insecure: true`')
    const open = await node('x', { insecure: true }, '0.0.0.0:0')
    expect(reports.x!.map(({ kind }) => kind)).toEqual(['insecure'])
    expect(transportOf(open).counters).toEqual({ unreachable: 0, refused: 0, malformed: 0, insecure: 1 })
  })

  test('one that is short is refused at once', () => {
    expect(() => create({ secret: 'x'.repeat(31) })).toThrow('INVALID_OPTION')
    expect(() => create({ secret: 'x'.repeat(31) })).not.toThrow('xxx')
  })
}
