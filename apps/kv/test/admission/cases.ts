import { createAuthority, type Issued, issue } from '@raftkit/certificates'
import { helloOf } from './stranger.ts'
import { strangerId, type Trio } from './trio.ts'

/** How the three are protected. */
export type Protection = 'none' | 'secret' | 'tls' | 'tls and secret'
export const protections: readonly Protection[] = ['none', 'secret', 'tls', 'tls and secret']

/** The options that all transports of connections share. */
export interface Options {
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string; readonly deny?: readonly string[] }
  readonly secret?: string
  readonly maxFrameBytes?: number
}

export interface Case {
  readonly name: string
  /** Where it can happen. */
  readonly where: readonly Protection[]
  /** What is wrong with the stranger; all else is right. */
  readonly options?: (right: Options) => Options
  readonly hello?: (trio: Trio) => Uint8Array
  /** What both sides say, whoever dialled. */
  readonly why: RegExp
  /** Another sentence, at the one who dials, if both cannot know the same. */
  readonly diallerSays?: RegExp
  readonly listenerSays?: RegExp
  /** It is no mistake once a member dials it, in order to add it. */
  readonly onlyDials?: true
}

const everywhere = protections
const withTls: readonly Protection[] = ['tls', 'tls and secret']
const withoutTls: readonly Protection[] = ['none', 'secret']
const withSecret: readonly Protection[] = ['secret', 'tls and secret']

const shop = await createAuthority({ cluster: 'shop' })
const another = await createAuthority({ cluster: 'shop' })
const past = { from: new Date('2020-01-01T00:00:00Z'), days: 1 }
const since = await createAuthority({ cluster: 'shop', from: past.from })
/** The three believe both. */
const ca = shop.cert + since.cert
const secret = 'a secret that all of the three know'

const denied = await issue(shop, { node: strangerId })
const right = await issue(shop, { node: strangerId })

/** What one of the three is given. */
export async function ofMember(id: string, protection: Protection): Promise<Options> {
  const { cert, key } = await issue(shop, { node: id })
  return {
    ...(protection.includes('tls') ? { tls: { ca, cert, key, deny: [denied.fingerprint] } } : {}),
    ...(protection.includes('secret') ? { secret } : {}),
  }
}

/** What the stranger is given if nothing is wrong with it. */
export const ofStranger = (protection: Protection): Options => ({
  ...(protection.includes('tls') ? { tls: { ca, cert: right.cert, key: right.key } } : {}),
  ...(protection.includes('secret') ? { secret } : {}),
})

const shows =
  ({ cert, key }: Issued) =>
  (right: Options): Options => ({ ...right, tls: { ca, cert, key } })

export const cases: readonly Case[] = [
  {
    name: 'wrong cluster',
    where: everywhere,
    hello: (trio) => helloOf(trio, { cluster: 'shoe' }),
    why: /n9 of cluster shoe is refused: this is cluster shop/,
  },
  {
    name: 'another founding of it',
    where: everywhere,
    hello: (trio) => helloOf(trio, { genesis: new Uint8Array(16).fill(7) }),
    why: /n9 of cluster shop is refused: it belongs to another founding/,
  },
  {
    name: 'unknown node',
    where: everywhere,
    hello: (trio) => helloOf(trio, { genesis: new Uint8Array(16) }),
    why: /n9 of cluster shop is refused: no configuration lists it/,
    onlyDials: true,
  },
  {
    name: 'hello of another version',
    where: everywhere,
    hello: (trio) => helloOf(trio, { format: 99 }),
    why: /what came first is no hello of a Raftkit node: .*a hello of format 99; this version reads 1/,
  },
  {
    name: 'another protocol',
    where: everywhere,
    hello: (trio) => helloOf(trio, { protocol: 'tfar' }),
    why: /n9 of cluster shop is refused: it speaks tfar, this node raft/,
  },
  {
    name: 'other limits',
    where: everywhere,
    options: (right) => ({ ...right, maxFrameBytes: 65_536 }),
    why: /maxFrameBytes is \d+ here and \d+ there: set the same on all nodes/,
  },
  {
    name: 'certificate of another node',
    where: withTls,
    options: shows(await issue(shop, { node: 'n8' })),
    why: /n9 of cluster shop is refused: its certificate does not name raft:\/\/shop\/n9/,
  },
  {
    name: 'certificate of the client role',
    where: withTls,
    options: shows(await issue(shop, { client: strangerId })),
    // Of a client's, OpenSSL itself says that it may be no server's.
    why: /its certificate is not for a peer|its certificate is for another use/,
  },
  {
    name: 'certificate of another CA',
    where: withTls,
    options: shows(await issue(another, { node: strangerId })),
    why: /its certificate is not signed by a CA of this node/,
  },
  {
    name: 'certificate expired',
    where: withTls,
    options: shows(await issue(since, { node: strangerId, ...past })),
    why: /its certificate expired on 2020-01-02T00:00:00.000Z/,
  },
  {
    name: 'certificate denied',
    where: withTls,
    options: shows(denied),
    why: /its certificate is denied/,
  },
  {
    name: 'plain to TLS',
    where: withTls,
    options: ({ tls: _, ...rest }) => rest,
    why: /without TLS|does not speak TLS|give both the option `tls`, or neither/,
  },
  {
    name: 'TLS to plain',
    where: withoutTls,
    options: (right) => ({ ...right, ...ofStranger('tls') }),
    why: /TLS/,
  },
  {
    name: 'secret wrong',
    where: withSecret,
    options: (right) => ({ ...right, secret: 'a secret that the three do not know' }),
    why: /does not prove that it knows the secret of this node/,
  },
  {
    name: 'secret absent',
    where: withSecret,
    options: ({ secret: _, ...rest }) => rest,
    why: /it asks for (a|no) secret, and this node was given (none|one)/,
  },
  {
    name: 'secret where none is asked for',
    where: ['none', 'tls'],
    options: (right) => ({ ...right, secret }),
    why: /it asks for (a|no) secret, and this node was given (none|one)/,
  },
]
