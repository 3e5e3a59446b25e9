import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Authority, createAuthority, issue, writeFolder } from '@raftkit/certificates'
import { memoryStorage } from '@raftkit/storage-memory'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { freePorts } from '../src/local/member-process.ts'
import { type Served, serve } from '../src/server/serve.ts'
import { resolveSettings, type Settings } from '../src/server/settings.ts'
import { ask } from './three-members.ts'

// What members prove to each other, as `serve` is told it: files.

const transports = ['tcp', 'grpc', 'ws'] as const
let directory: string
let authority: Authority
let running: Member[]

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'raftkit-kv-'))
  authority = await createAuthority({ cluster: 'kv' })
  running = []
})
afterEach(async () => {
  await Promise.all(running.map(({ served }) => served.stop()))
  rmSync(directory, { recursive: true })
})

interface Member {
  readonly id: string
  readonly served: Served
  readonly said: string[]
}

const folder = (id: string) => join(directory, 'nodes', id)
async function certify(id: string, by = authority): Promise<string> {
  const issued = await issue(by, { node: id })
  writeFolder(folder(id), issued, { force: true })
  return issued.fingerprint
}
function file(name: string, text: string): string {
  writeFileSync(join(directory, name), text)
  return join(directory, name)
}

async function start(id: string, settings: Settings): Promise<Member> {
  const said: string[] = []
  const say = (line: string) => void said.push(line)
  const own: Settings = { id, http: '127.0.0.1:0', storage: memoryStorage(), electionTimeout: 300 }
  const member = { id, said, served: await serve(await resolveSettings({ ...own, ...settings }, undefined, say), say) }
  running.push(member)
  return member
}

async function foundersOf(ids: readonly string[]): Promise<Record<string, string>> {
  const ports = await freePorts(ids.length)
  return Object.fromEntries(ids.map((id, at) => [id, `127.0.0.1:${ports[at]}`]))
}

const linksOf = async ({ served }: Member): Promise<Record<string, string>> =>
  (await ask(served.url, '/v1/status')).body.links
const ready = async ({ served }: Member) => (await ask(served.url, '/readyz')).status === 200
async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await done())) await pause(20)
}
const heard = (member: Member, what: RegExp) => () => member.said.some((line) => what.test(line))

describe.each(transports)('members over %s', (transport) => {
  /** One that does not belong to them calls them, and both sides say why in vain. */
  async function turnDown(members: Readonly<Record<string, string>>, stranger: Settings, why: RegExp): Promise<void> {
    const [n1, n2] = running as [Member, Member]
    await until(async () => (await ready(n1)) && (await ready(n2)))
    const [address] = Object.values(await foundersOf(['n3']))
    const n3 = await start('n3', { transport, members: { ...members, n3: address! }, ...stranger })
    await until(heard(n1, /^refused: /))
    await until(heard(n3, why))
    expect(await linksOf(n1)).toEqual({ n2: 'up' })
    expect(await ready(n3)).toBe(false)
  }

  test('serve over TLS with the folders that raftkit-certificates made, and turn down who has none', async () => {
    const members = await foundersOf(['n1', 'n2'])
    await Promise.all(['n1', 'n2'].map((id) => certify(id)))
    await Promise.all(['n1', 'n2'].map((id) => start(id, { transport, members, peerTls: folder(id) })))
    await turnDown(members, {}, /^refused: n[12] at .*TLS/)
  }, 20_000)

  test('serve with a secret that all know, and turn down who knows another', async () => {
    const members = await foundersOf(['n1', 'n2'])
    const peerSecret = file('secret', `${'correct horse battery staple '.repeat(2)}\n`)
    const other = file('other', 'incorrect horse battery staple '.repeat(2))
    await Promise.all(['n1', 'n2'].map((id) => start(id, { transport, members, peerSecret })))
    await turnDown(members, { peerSecret: other }, /^refused: n[12] at .*secret/)
    expect(running.flatMap(({ said }) => said).join()).not.toContain('horse')
  }, 20_000)
})

test('who is put on the list of the denied is cut without a restart, and let in again when taken off', async () => {
  const members = await foundersOf(['n1', 'n2', 'n3'])
  const fingerprints = await Promise.all(['n1', 'n2', 'n3'].map((id) => certify(id)))
  const [n1, , n3] = (await Promise.all(
    ['n1', 'n2', 'n3'].map((id) => start(id, { members, peerTls: folder(id) })),
  )) as [Member, Member, Member]
  const up = (state: string) => async () => (await linksOf(n1)).n3 === state
  await until(up('up'))
  const list = join(folder('n1'), 'deny.txt')
  writeFileSync(list, `# lost with a laptop\n${fingerprints[2]}\n`)
  await until(heard(n1, /^refused: n3 .*its certificate is denied/))
  await until(up('down'))
  expect(await ready(n1)).toBe(true)
  expect(n1.said).toContain(`${list} changed and was read again`)

  writeFileSync(list, 'nonsense')
  await until(heard(n1, /stays in force: .*nonsense/))
  writeFileSync(list, '')
  await until(up('up'))
  expect(n3.said.join()).toContain('denied')
}, 20_000)

test('a new certificate is taken without a restart, and one of another authority is not believed', async () => {
  const members = await foundersOf(['n1', 'n2'])
  await Promise.all(['n1', 'n2'].map((id) => certify(id)))
  const [n1, n2] = (await Promise.all(['n1', 'n2'].map((id) => start(id, { members, peerTls: folder(id) })))) as [
    Member,
    Member,
  ]
  await until(() => ready(n1))
  await certify('n2')
  await until(heard(n2, /cert\.pem changed and was read again/))
  expect(await ready(n1)).toBe(true)

  // From now on n2 believes others, so that it cuts who is here.
  await certify('n2', await createAuthority({ cluster: 'kv' }))
  await until(heard(n2, /^refused: n1 .*no longer signed/))
  await until(heard(n1, /^refused: n2 .*not signed by a CA/))
}, 20_000)

describe('beyond loopback', () => {
  const members = { n1: '10.0.0.1:7001', n2: '10.0.0.2:7001' }
  const own: Settings = { id: 'n1', members, storage: memoryStorage() }

  test.each(transports)('members over %s have to prove who they are', async (transport) => {
    await expect(resolveSettings({ ...own, transport })).rejects.toThrow(
      /10\.0\.0\.1:7001 can be reached .*--peer-tls .*--peer-secret .*--insecure/,
    )
    const joining: Settings = { id: 'n3', join: true, address: '[2001:db8::1]:7001', transport }
    await expect(resolveSettings(joining)).rejects.toThrow('2001:db8::1')
  })

  test('a secret, certificates, or a word to the contrary will do', async () => {
    await certify('n1')
    await resolveSettings({ ...own, peerTls: folder('n1') })
    await resolveSettings({ ...own, peerSecret: file('secret', 'x'.repeat(32)) })
    await resolveSettings({ ...own, insecure: true })
  })

  test('a member that was told to ask nobody says so at each start', async () => {
    const [port] = await freePorts(1)
    const member = await start('n1', { members: { n1: `0.0.0.0:${port}` }, insecure: true })
    expect(member.said.join()).toMatch(/INSECURE: 0\.0\.0\.0:\d+: whoever reaches this port can read and forge frames/)
  })
})

describe('files that will not do are a wrong call', () => {
  const own: Settings = { id: 'n1', members: { n1: '127.0.0.1:7001' }, storage: memoryStorage() }
  const wrong = async (settings: Settings, why: RegExp | string) => {
    await certify('n1')
    await expect(resolveSettings({ ...own, ...settings })).rejects.toThrow(why)
  }
  const named = () => ({
    peerCa: join(folder('n1'), 'ca.pem'),
    peerCert: join(folder('n1'), 'cert.pem'),
    peerKey: join(folder('n1'), 'key.pem'),
  })

  test('three files do as a directory does', async () => {
    await certify('n1')
    const { peers } = await resolveSettings({ ...own, ...named() })
    expect(peers.follow?.files).toEqual(Object.values(named()))
  })
  test('one of three', () => wrong({ peerCert: join(folder('n1'), 'cert.pem') }, 'go together'))
  test('a list of the denied, and nothing to deny', () => wrong({ peerDeny: file('deny', '') }, 'go together'))
  test('a directory that is not there', () => wrong({ peerTls: join(directory, 'none') }, /--peer-ca: ENOENT/))
  test('a list that was named and is not there', () =>
    wrong({ ...named(), peerDeny: join(directory, 'none') }, /--peer-deny: ENOENT/))
  test('the key of another', async () => {
    await certify('n2')
    await wrong({ ...named(), peerKey: join(folder('n2'), 'key.pem') }, /--peer-… is of no use: .*key/)
  })
  test('a secret that is short', () => wrong({ peerSecret: file('secret', 'short') }, /32/))
  test('an adapter that was made already', () =>
    wrong({ transport: 'memory', peerTls: folder('n1') }, /memory has no peers/))
})
