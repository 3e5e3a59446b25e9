import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { limits } from '../src/machine/store.ts'
import { type Asking, ask, ThreeMembers } from './three-members.ts'

let cluster: ThreeMembers
beforeAll(async () => {
  cluster = await ThreeMembers.start({ leaseDrift: 0.1 })
})
afterAll(() => cluster.stop())

const at = (id: string, path: string, asking?: Asking) => ask(cluster.url(id), path, asking)
const put = (key: string, value: string, id = 'n1') =>
  at(id, `/v1/kv/${encodeURIComponent(key)}`, { method: 'PUT', body: { value } })

describe('keys', () => {
  test('what one member wrote, every member reads', async () => {
    for (const id of ['n1', 'n2', 'n3']) {
      const { status, body } = await put('who', id, id)
      expect(status).toBe(200)
      for (const reader of ['n1', 'n2', 'n3']) {
        const read = await at(reader, '/v1/kv/who')
        expect(read.body).toMatchObject({ key: 'who', value: id, revision: body.revision })
      }
    }
  })

  test('a read may ask for less: a lease, or what the member itself holds', async () => {
    await put('fresh', 'yes')
    expect((await at('n1', '/v1/kv/fresh?consistency=lease')).body.value).toBe('yes')
    const leader = await cluster.leader()
    // The leader has applied what it acknowledged.
    expect((await at(leader, '/v1/kv/fresh?consistency=stale')).body.value).toBe('yes')
    expect((await at('n1', '/v1/kv/fresh?consistency=perhaps')).status).toBe(400)
  })

  test('a key that is not there is 404, read or deleted', async () => {
    expect((await at('n1', '/v1/kv/nobody')).body.error).toMatchObject({ code: 'NOT_FOUND' })
    expect((await at('n2', '/v1/kv/nobody', { method: 'DELETE' })).status).toBe(404)
    await put('somebody', 'x')
    expect((await at('n2', '/v1/kv/somebody', { method: 'DELETE' })).status).toBe(200)
    expect((await at('n3', '/v1/kv/somebody')).status).toBe(404)
  })

  test('an append adds to the end, and stops at the limit of a value', async () => {
    for (const value of ['a', 'b', 'ü']) {
      expect((await at('n2', '/v1/kv/list/append', { method: 'POST', body: { value } })).status).toBe(200)
    }
    expect((await at('n3', '/v1/kv/list')).body.value).toBe('abü')
    await put('full', 'x'.repeat(limits.valueBytes))
    const refused = await at('n1', '/v1/kv/full/append', { method: 'POST', body: { value: 'x' } })
    expect([refused.status, refused.body.error.code]).toEqual([413, 'TOO_LARGE'])
  })

  test('a compare-and-set that does not hold is 412, with what is there', async () => {
    const cas = (expect: unknown, value: string) =>
      at('n3', '/v1/kv/lock/cas', { method: 'POST', body: { expect, value } })
    const first = await cas({ absent: true }, 'mine')
    expect(first.status).toBe(200)
    const second = await cas({ absent: true }, 'yours')
    expect(second.status).toBe(412)
    expect(second.body).toMatchObject({
      error: { code: 'PRECONDITION_FAILED' },
      current: { value: 'mine', revision: first.body.revision },
    })
    expect((await cas({ value: 'mine' }, 'yours')).status).toBe(200)
    expect((await cas({ revision: first.body.revision }, 'theirs')).status).toBe(412)
  })

  test('a list goes through a prefix page by page', async () => {
    for (const name of ['c', 'a', 'b']) await put(`page/${name}`, name)
    const first = (await at('n2', '/v1/kv?prefix=page/&limit=2')).body
    expect(first.entries.map(({ key }: { key: string }) => key)).toEqual(['page/a', 'page/b'])
    const second = (await at('n1', `/v1/kv?prefix=page/&limit=2&after=${encodeURIComponent(first.next)}`)).body
    expect(second).toMatchObject({ entries: [{ key: 'page/c', value: 'c' }], next: null })
  })
})

describe('many puts in one request', () => {
  const puts = (puts: unknown, id = 'n2') => at(id, '/v1/kv', { method: 'POST', body: { puts } })

  test('each is a change of its own, told in the order they were given', async () => {
    const many = Array.from({ length: 200 }, (_, n) => ({ key: `many/${n}`, value: `${n}` }))
    const { status, body } = await puts(many)
    expect(status).toBe(200)
    expect(body.results.map(({ key }: { key: string }) => key)).toEqual(many.map(({ key }) => key))
    expect(new Set(body.results.map(({ revision }: { revision: number }) => revision)).size).toBe(200)
    const read = await at('n3', '/v1/kv/many%2F7')
    expect(read.body).toMatchObject({ value: '7', revision: body.results[7].revision })
  })

  test('nothing is begun if one of them is not valid', async () => {
    const good = { key: 'many/good', value: 'x' }
    for (const [wrong, status] of [
      [{ key: '', value: 'x' }, 400],
      [{ key: 'k', value: '\ud800' }, 400],
      [{ key: 'k', value: 'x'.repeat(limits.valueBytes + 1) }, 413],
      [{ key: 'k' }, 400],
      [{ key: 'k', value: 'x', ttl: 1 }, 400],
    ] as const)
      expect((await puts([good, wrong])).status).toBe(status)
    expect((await puts([])).status).toBe(400)
    expect((await puts(Array.from({ length: 1001 }, () => good))).status).toBe(400)
    expect((await at('n1', '/v1/kv/many%2Fgood')).status).toBe(404)
  })
})

describe('bad input is a 4xx that says what is wrong', () => {
  const cases: [string, string, Asking, number, string?][] = [
    ['a number as value', '/v1/kv/k', { method: 'PUT', body: { value: 5 } }, 400],
    ['no value', '/v1/kv/k', { method: 'PUT', body: {} }, 400],
    ['a field too many', '/v1/kv/k', { method: 'PUT', body: { value: 'x', ttl: 5 } }, 400],
    ['no JSON', '/v1/kv/k', { method: 'PUT', text: '{"value":' }, 400],
    ['no body', '/v1/kv/k', { method: 'PUT' }, 400],
    ['a prototype in the body', '/v1/kv/k', { method: 'PUT', text: '{"value":"x","__proto__":{"a":1}}' }, 400],
    ['another content type', '/v1/kv/k', { method: 'PUT', text: 'x', headers: { 'content-type': 'text/plain' } }, 415],
    ['half a surrogate pair', '/v1/kv/k', { method: 'PUT', text: '{"value":"\\ud800"}' }, 400, 'INVALID_VALUE'],
    [
      'a value that is too large',
      '/v1/kv/k',
      { method: 'PUT', body: { value: 'x'.repeat(limits.valueBytes + 1) } },
      413,
    ],
    ['a huge body', '/v1/kv/k', { method: 'PUT', body: { value: 'x'.repeat(3 * 1024 * 1024) } }, 413],
    [
      'a key that is too long',
      `/v1/kv/${'k'.repeat(1025)}`,
      { method: 'PUT', body: { value: 'x' } },
      400,
      'INVALID_KEY',
    ],
    ['an empty key', '/v1/kv/', { method: 'PUT', body: { value: 'x' } }, 400, 'INVALID_KEY'],
    ['a key that is no UTF-8', '/v1/kv/%ff', {}, 400],
    ['a key that no URL can carry', '/v1/kv/%2e%2e', { method: 'PUT', body: { value: 'x' } }, 400, 'INVALID_KEY'],
    ['a limit of nothing', '/v1/kv?limit=0', {}, 400, 'INVALID_LIMIT'],
    ['a limit that is no number', '/v1/kv?limit=ten', {}, 400],
    ['an unknown parameter', '/v1/kv?offset=3', {}, 400],
    ['two of one parameter', '/v1/kv?limit=1&limit=2', {}, 400],
    ['an expectation of nothing', '/v1/kv/k/cas', { method: 'POST', body: { expect: {}, value: 'x' } }, 400],
    [
      'two expectations',
      '/v1/kv/k/cas',
      { method: 'POST', body: { expect: { absent: true, value: 'x' }, value: 'x' } },
      400,
    ],
    ['a watch from a word', '/v1/watch?from=now', {}, 400],
    ['a bad Last-Event-ID', '/v1/watch', { headers: { 'last-event-id': '1;2' } }, 400, 'INVALID_REVISION'],
    ['a path that is none', '/v2/kv', {}, 404, 'NO_SUCH_ROUTE'],
    ['a member without a name', '/v1/members', { method: 'POST', body: { address: 'x:1' } }, 400],
    ['a member with a path as name', '/v1/members', { method: 'POST', body: { id: '../../x', address: 'x:1' } }, 400],
    ['the removal of a stranger', '/v1/members/n9', { method: 'DELETE' }, 404, 'NOT_A_MEMBER'],
  ]
  test.each(cases)('%s', async (_name, path, asking, status, code) => {
    const answer = await at('n1', path, asking)
    expect([answer.status, answer.body]).toEqual([status, expect.objectContaining({ error: expect.any(Object) })])
    expect(answer.body.error.message).not.toBe('')
    if (code !== undefined) expect(answer.body.error.code).toBe(code)
    expect((await at('n1', '/livez')).status).toBe(200)
  })

  // reliability N7, N8
  test('keys that look like paths, prototypes or markup are keys', async () => {
    const hostile = [
      '__proto__',
      'constructor',
      'toString',
      '../../etc/passwd',
      '/',
      'a/b/../c',
      '\u0000',
      '%2e',
      '<b>',
      '💾',
      '...',
    ]
    for (const key of hostile) expect((await put(key, `value of ${key}`)).status, key).toBe(200)
    for (const key of hostile) {
      expect((await at('n2', `/v1/kv/${encodeURIComponent(key)}`)).body).toMatchObject({
        key,
        value: `value of ${key}`,
      })
    }
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
    const hashes = await sameHashes()
    expect(hashes).toHaveLength(1)
  })

  // reliability N4
  test('headers without end are cut off, and a connection that says nothing useful is closed', async () => {
    const headers = Array.from({ length: 2_000 }, (_, line) => `x-${line}: ${'y'.repeat(100)}\r\n`)
    const answer = await raw(`GET /livez HTTP/1.1\r\nHost: localhost\r\n${headers.join('')}`)
    expect(answer).toMatch(/^HTTP\/1\.1 431 /)
    expect((await at('n1', '/livez')).status).toBe(200)
  })
})

// reliability N9
describe('pages of other sites are kept out', () => {
  test.each(['evil.test', 'evil.test:8001', 'localhost.evil.test', '127.0.0.1.evil.test', '[::2]'])(
    'a Host of %j is refused',
    async (host) => {
      const answer = await at('n1', '/v1/kv/k', { method: 'PUT', body: { value: 'x' }, headers: { host } })
      expect([answer.status, answer.body.error.code]).toEqual([403, 'FOREIGN_HOST'])
    },
  )

  test('no Host at all is refused', async () => {
    expect(await raw('GET /livez HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 403 /)
  })

  test.each(['http://evil.test', 'null', 'http://127.0.0.1:1'])('an Origin of %j is refused', async (origin) => {
    const answer = await at('n1', '/v1/transfer', { method: 'POST', headers: { origin } })
    expect([answer.status, answer.body.error.code]).toEqual([403, 'FOREIGN_ORIGIN'])
  })

  test('the own name is let in, also as Origin', async () => {
    const { port } = new URL(cluster.url('n1'))
    for (const host of [`localhost:${port}`, `LOCALHOST:${port}`, '[::1]:80']) {
      expect((await at('n1', '/livez', { headers: { host } })).status).toBe(200)
    }
    const host = `localhost:${port}`
    expect((await at('n1', '/livez', { headers: { host, origin: `http://${host}` } })).status).toBe(200)
  })
})

describe('what operators ask', () => {
  test('status is what a member knows by itself', async () => {
    const leader = await cluster.leader()
    const { body } = await at('n2', '/v1/status')
    expect(body).toMatchObject({ id: 'n2', cluster: 'test', state: 'running', leader })
    expect(body.config.members.map(({ id }: { id: string }) => id)).toEqual(['n1', 'n2', 'n3'])
  })

  test('live, ready and measured', async () => {
    expect((await at('n3', '/livez')).body).toMatchObject({ live: true })
    expect((await at('n3', '/readyz')).body).toEqual({ ready: true })
    const metrics = await at('n3', '/metrics')
    expect(metrics.headers['content-type']).toContain('version=0.0.4')
    expect(metrics.body).toMatch(/^# TYPE raft\w* /m)
  })

  test('leadership goes to the member that is named', async () => {
    const to = await cluster.follower()
    const before = await cluster.leader()
    const answer = await at(before, '/v1/transfer', { method: 'POST', body: { to } })
    expect(answer).toMatchObject({ status: 200, body: { leader: to } })
    expect(await cluster.leader()).toBe(to)
    // Asked of one that does not lead, it is passed on.
    expect(await at(before, '/v1/transfer', { method: 'POST', body: { to: before } })).toMatchObject({
      status: 200,
      body: { leader: before },
    })
    const refused = await at(to, '/v1/transfer', { method: 'POST', body: { to: 'n9' } })
    expect(refused.body.error).toMatchObject({ code: 'NOT_A_MEMBER', outcome: 'refused' })
  })

  test('a snapshot is taken when asked for', async () => {
    const { revision } = (await put('kept', 'in the snapshot')).body
    const leader = await cluster.leader()
    const { status, body } = await at(leader, '/v1/snapshot', { method: 'POST' })
    expect(status).toBe(200)
    expect(body.index).toBeGreaterThanOrEqual(revision)
    expect((await cluster.view(leader)).snapshot?.index).toBe(body.index)
  })

  test('the hash of the whole machine is the same on all members, and another after a change', async () => {
    const [before] = await sameHashes()
    await put('hashed', String(before))
    const [after] = await sameHashes()
    expect(after).toMatch(/^[0-9a-f]{64}$/)
    expect(after).not.toBe(before)
  })
})

/** The different hashes among the members, once all of them are at one index. */
async function sameHashes(): Promise<string[]> {
  for (;;) {
    const hashes = await Promise.all(['n1', 'n2', 'n3'].map(async (id) => (await at(id, '/v1/hash')).body))
    if (new Set(hashes.map(({ index }) => index)).size === 1) return [...new Set(hashes.map(({ hash }) => hash))]
  }
}

/** What the server says to these bytes until it hangs up. */
function raw(bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(cluster.url('n1')).port), '127.0.0.1')
    let received = ''
    socket.on('data', (chunk) => {
      received += chunk.toString()
    })
    socket.on('close', () => resolve(received))
    // It may hang up while we still write.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET') reject(error)
    })
    socket.write(bytes)
  })
}
