import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Access, addToken } from '../src/server/access.ts'
import { listening } from '../src/server/address.ts'
import { front } from '../src/server/front.ts'
import { defaultLimits } from '../src/server/limits.ts'
import type { Settings } from '../src/server/settings.ts'
import { certificates } from './guarded-member.ts'

let directory: string
const file = (name: string) => join(directory, name)
const here = (text: string, settings: Settings = {}) => front(listening(text), settings)
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'raftkit-kv-'))
  addToken(file('access.json'), 'web', 'write')
  const { server } = await certificates()
  for (const name of ['ca', 'cert', 'key'] as const) writeFileSync(file(`${name}.pem`), server![name])
})
afterAll(() => rmSync(directory, { recursive: true }))

describe('where HTTP can be reached from other machines, it asks who comes', () => {
  test.each(['0.0.0.0:80', '[::]:80', '10.0.0.1:80', 'kv.example:80', '127.evil.test:80', 'localhost.evil.test:80'])(
    'at %s it does not start without a word, and says which',
    (at) => {
      expect(() => here(at)).toThrow(/--access FILE.*raftkit-kv token.*--client-ca.*--insecure/)
      expect(here(at, { insecure: true }).warnings).toEqual([expect.stringContaining('INSECURE: whoever reaches')])
    },
  )

  test.each(['127.0.0.1:80', '127.1.2.3:80', '[::1]:80', 'localhost:80'])('at %s it asks nobody', (at) => {
    expect(here(at)).toMatchObject({ loopback: true, access: undefined, warnings: [] })
  })

  test('tokens without HTTPS are warned of, and with it nothing is', () => {
    const access = file('access.json')
    const tls = { httpCert: file('cert.pem'), httpKey: file('key.pem') }
    expect(here('0.0.0.0:80', { access }).warnings).toEqual([expect.stringContaining('in the clear')])
    expect(here('0.0.0.0:80', { access, ...tls }).warnings).toEqual([])
    expect(here('0.0.0.0:80', { access, ...tls, clientCa: file('ca.pem') }).warnings).toEqual([])
  })
})

test.each<[string, () => Settings, string]>([
  ['a certificate without its key', () => ({ httpCert: file('cert.pem') }), '--http-cert and --http-key go together'],
  ['a CA without HTTPS', () => ({ clientCa: file('ca.pem'), access: file('access.json') }), '--client-ca needs HTTPS'],
  [
    'a CA without roles',
    () => ({ httpCert: file('cert.pem'), httpKey: file('key.pem'), clientCa: file('ca.pem') }),
    'what they may do: give both',
  ],
  ['a file that is not there', () => ({ httpCert: file('none'), httpKey: file('key.pem') }), '--http-cert: ENOENT'],
  ['an access file that is not there', () => ({ access: file('none') }), '"raftkit-kv token" makes one'],
  ['an origin with a path', () => ({ allowOrigin: ['https://a.example/x'] }), '--allow-origin is like'],
  ['a name with a port', () => ({ allowHost: ['kv.example:80'] }), '--allow-host is a name'],
  ['a name that is no list', () => ({ allowHost: 'kv.example' as never }), '--allow-host is a list'],
  ['a limit that there is not', () => ({ limits: { bodies: 5 } as never }), 'there is no limit "bodies"'],
  ['a limit of the prototype', () => ({ limits: JSON.parse('{"__proto__":5}') }), 'there is no limit "__proto__"'],
  ['a limit of nothing', () => ({ limits: { connections: 0 } }), 'connections is a whole number'],
  ['headers later than the whole', () => ({ limits: { requestTimeout: 5 } }), 'headersTimeout is at most'],
])('%s is told of before anything starts', (_name, settings, message) => {
  expect(() => here('127.0.0.1:80', settings())).toThrow(message)
})

test('limits that are not given are the defaults', () => {
  expect(here('127.0.0.1:80', { limits: { connections: 5 } }).limits).toEqual({ ...defaultLimits, connections: 5 })
})

describe('the access file', () => {
  test('a token is printed once, its hash is kept, and its file is nobody else’s', () => {
    const path = file('own.json')
    const token = addToken(path, 'web', 'write')
    expect(token).toMatch(/^[\w-]{43}$/)
    expect(readFileSync(path, 'utf8')).not.toContain(token)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    const access = new Access(path)
    expect(access.withToken(token)).toEqual({ name: 'web', role: 'write' })
    expect(access.withToken(`${token}x`)).toBeUndefined()
    expect(access.withToken(token.toLowerCase())).toBeUndefined()
    expect(access.named('web')).toEqual({ name: 'web', role: 'write' })
    expect(access.named('__proto__')).toBeUndefined()
  })

  test('a second token stands beside the first, and a role can be changed', () => {
    const path = file('two.json')
    const [first, second] = [addToken(path, 'web', 'write'), addToken(path, 'web', undefined)]
    expect([first, second].map((token) => new Access(path).withToken(token)?.role)).toEqual(['write', 'write'])
    addToken(path, 'web', 'read')
    expect(new Access(path).withToken(first)?.role).toBe('read')
  })

  test('a new client needs a role, and a name', () => {
    expect(() => addToken(file('none.json'), 'web', undefined)).toThrow('--role read|write|admin')
    for (const name of ['', '__proto__', '../x', 'a b']) {
      expect(() => addToken(file('none.json'), name, 'read'), name).toThrow("a client's name")
    }
  })

  const hash = 'ab'.repeat(32)
  test.each([
    ['{', 'it is not JSON'],
    ['[]', 'an object of clients by name'],
    ['null', 'an object of clients by name'],
    ['{"__proto__":{"role":"admin"}}', '"__proto__" is no name of a client'],
    ['{"web":"admin"}', 'is an object with a role'],
    ['{"web":{}}', 'the role of "web" is one of read, write, admin'],
    ['{"web":{"role":"root"}}', 'the role of "web" is one of'],
    ['{"web":{"role":"read","tokens":"x"}}', 'a list of SHA-256'],
    ['{"web":{"role":"read","tokens":["my-secret"]}}', 'a list of SHA-256'],
    [`{"web":{"role":"read","token":"${hash}"}}`, 'and no "token"'],
  ])('of %s says what is wrong, and shows no secret', (text, message) => {
    writeFileSync(file('wrong.json'), text)
    let said = ''
    try {
      new Access(file('wrong.json'))
    } catch (error) {
      said = (error as Error).message
    }
    expect(said).toContain(message)
    expect(said).not.toMatch(/my-secret|abab/)
  })

  test('one that became unusable stays as it was', () => {
    const path = file('later.json')
    const token = addToken(path, 'web', 'write')
    const access = new Access(path)
    writeFileSync(path, '{')
    expect(() => access.reload()).toThrow('it is not JSON')
    expect(access.withToken(token)?.name).toBe('web')
    writeFileSync(path, '{}')
    access.reload()
    expect(access.withToken(token)).toBeUndefined()
    expect(access.named('web')).toBeUndefined()
  })
})
