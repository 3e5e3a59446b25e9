import { fastify } from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { roles } from '../src/server/access.ts'
import { authorization } from '../src/server/authorization.ts'
import { certifiedName } from '../src/server/certified-name.ts'
import { permissions } from '../src/server/permissions.ts'
import { bearer, certificates, GuardedMember } from './guarded-member.ts'
import type { Asking } from './three-members.ts'

let certified: Awaited<ReturnType<typeof certificates>>
let member: GuardedMember
beforeAll(async () => {
  certified = await certificates()
  member = await GuardedMember.start({}, certified.server)
})
afterAll(() => member.stop())

const ranks: readonly (string | undefined)[] = roles
const rank = (role: string | undefined) => ranks.indexOf(role)

/** Each with the role it has; none: it is a stranger. `shows`: asked for when all is there. */
const callers: readonly (readonly [string, string | undefined, () => Asking])[] = [
  ['nobody', undefined, () => ({})],
  ['a token that is none', undefined, () => ({ headers: bearer('x'.repeat(43)) })],
  ['a name and a password', undefined, () => ({ headers: { authorization: 'Basic YWRtaW46YWRtaW4=' } })],
  ...roles.map((role) => [`the token of ${role}`, role, () => ({ headers: bearer(member.tokens[role]) })] as const),
  ...roles.map((role) => [`the certificate of ${role}`, role, () => shown(`the certificate of ${role}`)] as const),
  ...['one that is not listed', 'one of a node', 'one of another CA', 'one of another cluster', 'one that expired'].map(
    (which) => [`a certificate, ${which}`, undefined, () => shown(which)] as const,
  ),
]

const shown = (which: string): Asking => {
  const { cert, key } = certified[which]!
  return { tls: { cert, key } }
}

/** A request that would do no harm: who is let in is told that it is wrong, or that there is nothing. */
function harmless(route: string): [path: string, asking: Asking] {
  const [method, pattern] = route.split(' ') as [string, string]
  const path = pattern.replace(':key', 'k').replace(':id', 'n9')
  return [path, method === 'GET' ? {} : { method, ...(method !== 'DELETE' && { body: { wrong: true } }) }]
}

describe.each(Object.entries(permissions))('%s, which needs: %s', (route, needed) => {
  test.each(callers)(`${route} by %s`, async (_who, role, shows) => {
    const [path, asking] = harmless(route)
    const { tls = {}, headers = {} } = shows()
    const {
      status,
      body,
      headers: got,
    } = await member.ask(path, { ...asking, headers, tls: { ca: certified.server!.ca, ...tls } })
    if (needed === 'anyone' || rank(role) >= rank(needed)) expect([401, 403], `${status}`).not.toContain(status)
    else if (role === undefined) {
      expect([status, body.error.code, got['www-authenticate']]).toEqual([401, 'UNAUTHENTICATED', 'Bearer'])
    } else {
      expect([status, body.error.code]).toEqual([403, 'FORBIDDEN'])
      expect(body.error.message).toContain(`needs the role ${needed}`)
    }
  })
})

test('a certificate that does not do says why', async () => {
  const why = async (which: string) =>
    (await member.ask('/v1/kv', { tls: { ca: certified.server!.ca, ...shown(which).tls } })).body.error.message
  expect(await why('one that is not listed')).toContain('lists no client stranger')
  expect(await why('one of a node')).toContain('not that of a client of the cluster test')
  expect(await why('one of another cluster')).toMatch(/does not verify|not that of a client/)
  expect(await why('one of another CA')).toContain('does not verify')
  expect(await why('one that expired')).toContain('CERT_HAS_EXPIRED')
})

test('a token is good although the certificate is not', async () => {
  const tls = { ca: certified.server!.ca, ...shown('one that is not listed').tls }
  expect((await member.ask('/v1/kv', { tls, headers: bearer(member.tokens.read) })).status).toBe(200)
})

test('a route without an entry cannot be registered', async () => {
  const app = fastify()
  authorization(app, { cluster: 'test' })
  expect(() => app.get('/v1/backdoor', async () => 'open')).toThrow('no entry in permissions.ts')
  expect(() => app.post('/livez', async () => 'open')).toThrow('no entry in permissions.ts')
  expect(() => app.all('/v1/kv', async () => 'open')).toThrow('no entry in permissions.ts')
  expect(() => app.get('constructor', async () => 'open')).toThrow()
  await app.close()
})

test.each(Object.keys(permissions).filter((route) => route.startsWith('GET ')))(
  'HEAD needs what %s needs',
  async (route) => {
    const [path] = harmless(route)
    const tls = { ca: certified.server!.ca }
    const { status } = await member.ask(path, { method: 'HEAD', tls })
    expect(status).toBe(permissions[route] === 'anyone' ? 200 : 401)
  },
)

test('a path that is none tells nothing of itself, whoever asks', async () => {
  const answer = await member.ask('/v1/secrets', { tls: { ca: certified.server!.ca } })
  expect([answer.status, answer.body.error.code]).toEqual([404, 'NO_SUCH_ROUTE'])
})

test.each([
  ['URI:raft://test/web, URI:urn:raftkit:role:client', 'web'],
  ['DNS:localhost, URI:urn:raftkit:role:client, URI:raft://test/web', 'web'],
  ['URI:raft://test/web', undefined],
  ['URI:raft://test/web, URI:urn:raftkit:role:peer', undefined],
  ['URI:raft://test/web, URI:urn:raftkit:role:client, URI:urn:raftkit:role:peer', undefined],
  ['URI:raft://other/web, URI:urn:raftkit:role:client', undefined],
  ['URI:raft://test/web, URI:raft://test/admin, URI:urn:raftkit:role:client', undefined],
  ['URI:"x, URI:raft://test/web, URI:urn:raftkit:role:client, y"', undefined],
  ['DNS:raft://test/web, URI:urn:raftkit:role:client', undefined],
  ['', undefined],
  [undefined, undefined],
])('a certificate with the names %j is that of %s', (names, client) => {
  expect(certifiedName(names, 'test')).toBe(client)
})
