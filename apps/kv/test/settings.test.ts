import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { run } from '../src/client/command-line.ts'
import { parseMembers } from '../src/server/address.ts'
import { resolveSettings } from '../src/server/settings.ts'
import { ask } from './three-members.ts'

const config = fileURLToPath(new URL('./fixtures/kv.config.mjs', import.meta.url))

describe('settings', () => {
  test('flags win over the configuration file, and the file over the defaults', async () => {
    const settings = await resolveSettings({ id: 'n7', cluster: 'mine' }, config)
    expect(settings).toMatchObject({
      id: 'n7',
      cluster: 'mine',
      members: { n7: '127.0.0.1:7001' },
      http: { host: '127.0.0.1', port: 0, loopback: true },
      timeout: 10_000,
    })
    expect(await resolveSettings({ id: 'n7', http: '[::1]:80' }, config)).toMatchObject({ http: { host: '::1' } })
  })

  test('HTTP beyond loopback needs a word', async () => {
    const members = { n1: '127.0.0.1:7001' }
    const reachable = { id: 'n1', members, http: '0.0.0.0:8001', storage: 'memory', transport: 'memory' } as const
    await expect(resolveSettings(reachable)).rejects.toThrow('--insecure')
    expect(await resolveSettings({ ...reachable, insecure: true })).toMatchObject({ http: { loopback: false } })
  })

  test('members are pairs', () => {
    expect(parseMembers('n1=127.0.0.1:1, n2=[::1]:2')).toEqual({ n1: '127.0.0.1:1', n2: '[::1]:2' })
    for (const wrong of ['', 'n1', 'n1=', '=127.0.0.1:1', 'n1=127.0.0.1', 'n1=h:1,n1=h:2', 'n1=h:99999']) {
      expect(() => parseMembers(wrong), wrong).toThrow('--members')
    }
  })
})

describe('a directory belongs to the storage that wrote it', () => {
  let data: string
  beforeEach(async () => {
    data = await mkdtemp(join(tmpdir(), 'raftkit-kv-'))
  })
  afterEach(() => rm(data, { recursive: true }))
  const member = { id: 'n1', members: { n1: '127.0.0.1:7001' }, transport: 'memory' } as const

  test.each([
    ['wal', 'level'],
    ['level', 'wal'],
  ] as const)('what %s wrote, %s does not begin anew', async (writer, other) => {
    const { storage } = await resolveSettings({ ...member, data, storage: writer })
    const log = await storage.log('main')
    await log.write({ state: new Uint8Array([1]) })
    await storage.close()
    await expect(resolveSettings({ ...member, data, storage: other })).rejects.toThrow(`--storage ${writer}`)
    const { storage: again } = await resolveSettings({ ...member, data, storage: writer })
    expect([...(await again.log('main')).found.state!]).toEqual([1])
    await again.close()
  })

  test('a storage that there is not is a wrong call', async () => {
    const flags = { ...member, data, storage: 'walnut' as 'wal' }
    await expect(resolveSettings(flags)).rejects.toThrow('--storage is wal, level or memory')
  })
})

test.each([
  ['export default 5', 'must export an object'],
  ['export default { stroage: "level" }', 'no setting "stroage"'],
  ['export default { http: 8001 }', 'http is a string'],
  ['export default { storage: null }', 'storage is a string'],
  ['export default {', 'cannot be loaded'],
])('a configuration file of %j says what is wrong', async (source, message) => {
  const directory = await mkdtemp(join(tmpdir(), 'raftkit-kv-'))
  const path = join(directory, 'kv.config.mjs')
  await writeFile(path, source)
  await expect(resolveSettings({ id: 'n1' }, path)).rejects.toThrow(message)
  await rm(directory, { recursive: true })
})

test('a member runs on the adapter that a configuration file gives', async () => {
  const { asked } = (await import(config)) as { asked: string[] }
  const interruption = new AbortController()
  const stderr = new PassThrough()
  let talk = ''
  const url = new Promise<string>((resolve) => {
    stderr.on('data', (chunk: Buffer) => {
      talk += chunk.toString()
      const match = /serving (\S+)/.exec(talk)
      if (match) resolve(match[1]!)
    })
  })
  const ended = run(['serve', '--config', config, '--id', 'alone'], {
    stdin: Readable.from([]),
    stdout: new PassThrough(),
    stderr,
    env: {},
    interrupted: interruption.signal,
  })
  const at = await Promise.race([url, ended.then((code) => Promise.reject(new Error(`ended with ${code}: ${talk}`)))])
  expect((await ask(at, '/v1/kv/k', { method: 'PUT', body: { value: 'x' } })).status).toBe(200)
  expect((await ask(at, '/v1/kv/k')).body.value).toBe('x')
  interruption.abort()
  expect(await ended).toBe(0)
  expect(asked).toEqual(['the log of main', 'close'])
})
