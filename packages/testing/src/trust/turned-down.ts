import type { Tls } from '@raftkit/links'
import { expect, test } from 'vitest'
import { closeAll } from '../node.ts'
import { until } from '../until.ts'
import {
  a,
  authority,
  b,
  type Create,
  client,
  early,
  elder,
  expired,
  ofOther,
  reasons,
  reports,
  showing,
  starting,
  transportOf,
} from './nodes.ts'

const wrong: [string, Tls, Tls, string][] = [
  ['of another authority', showing(ofOther), showing(b), 'its certificate is not signed by a CA of this node'],
  ['expired', showing(expired), showing(b, authority.cert + elder.cert), 'its certificate expired on 20'],
  ['not valid yet', showing(early), showing(b), 'its certificate is valid from 20'],
  ['denied by its fingerprint', showing(a), showing(b, authority.cert, [a.fingerprint]), 'its certificate is denied'],
  ['denied by its name', showing(a), showing(b, authority.cert, ['raft://c/a']), 'its certificate is denied'],
  ['of another node', showing(b), showing(b), 'raft://c/b urn:raftkit:role:peer is not the peer a'],
  ['of a client', showing(client), showing(b), ''],
]

export function turnDown(create: Create): void {
  const node = starting(create)

  test.each(wrong)(
    'a certificate %s is turned down, whoever dials, and both sides are told why',
    async (_, bad, good, why) => {
      const believing = { ...bad, ca: bad.ca + elder.cert }
      for (const badDials of [true, false]) {
        const one = await node('a', { tls: believing })
        const two = await node('b', { tls: good })
        if (badDials) one.transport.setPeers([two.peer])
        else two.transport.setPeers([one.peer])
        await until(
          () =>
            reasons('b').length > 0 && reasons('a').some((reason) => reason.startsWith('this node was turned down: ')),
          () => JSON.stringify(reports),
        )
        expect(reasons('b')[0]).toContain(why)
        expect(reports.b![0]!.kind).toBe('refused')
        expect(reasons('a')).toContain(`this node was turned down: ${reasons('b')[0]}`)
        expect([one.links, two.links, one.heard, two.heard]).toEqual([[], [], [], []])
        // Nothing of it was admitted on the strength of such a certificate.
        expect(two.admitted).toEqual([])
        expect(transportOf(two).counters.refused).toBeGreaterThan(0)
        await closeAll()
      }
    },
  )
}
