import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readTls } from '@raftkit/certificates'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { run } from '../src/command.ts'

let directory: string
beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), 'raftkit-certificates-')), 'pki')
})
afterEach(() => rm(join(directory, '..'), { recursive: true, force: true }))

async function raftkitCertificates(...args: string[]): Promise<{ code: number; said: string; complained: string }> {
  const said: string[] = []
  const complained: string[] = []
  const code = await run(
    args,
    (line) => said.push(line),
    (line) => complained.push(line),
  )
  return { code, said: said.join('\n'), complained: complained.join('\n') }
}

test('an authority, a node and a client, each in a folder of its own', async () => {
  const init = await raftkitCertificates('init', directory, '--cluster', 'shop')
  expect(init).toMatchObject({ code: 0, complained: '' })
  expect(init.said).toMatch(
    /^file +.*authority\/cert\.pem\nrole +authority\nname +raft:\/\/shop\nvalid +\S+Z to \S+Z\nfinger/,
  )
  const node = await raftkitCertificates('node', directory, 'n1', '--host', 'kv1.example', '--host', '10.0.0.1')
  expect(node.said).toMatch(
    /role +peer\nname +raft:\/\/shop\/n1\nhosts +localhost 127\.0\.0\.1 ::1 kv1\.example 10\.0\.0\.1\n/,
  )
  expect((await raftkitCertificates('client', directory, 'web', '--days', '7')).said).toMatch(
    /name +raft:\/\/shop\/web\n/,
  )
  expect(readTls(join(directory, 'nodes/n1')).ca).toBe(await readFile(join(directory, 'authority/cert.pem'), 'utf8'))
  expect(existsSync(join(directory, 'nodes/n1/deny.txt'))).toBe(false)
  expect((await stat(join(directory, 'clients/web/key.pem'))).mode & 0o777).toBe(0o600)
})

test('nothing is overwritten without --force', async () => {
  await raftkitCertificates('init', directory, '--cluster', 'shop')
  const before = await readFile(join(directory, 'authority/key.pem'), 'utf8')
  const again = await raftkitCertificates('init', directory, '--cluster', 'shop')
  expect(again).toMatchObject({ code: 2, complained: expect.stringMatching(/exists already/) })
  expect(await readFile(join(directory, 'authority/key.pem'), 'utf8')).toBe(before)
  expect((await raftkitCertificates('init', directory, '--cluster', 'shop', '--force')).code).toBe(0)
  expect(await readFile(join(directory, 'authority/key.pem'), 'utf8')).not.toBe(before)
})

test('show says whether it verifies, of a file or a folder, and against another CA', async () => {
  await raftkitCertificates('init', directory, '--cluster', 'shop')
  await raftkitCertificates('node', directory, 'n1')
  const folder = join(directory, 'nodes/n1')
  const shown = await raftkitCertificates('show', folder)
  expect(shown).toMatchObject({ code: 0, said: expect.stringMatching(/verifies +yes \(.*nodes\/n1\/ca\.pem\)$/) })
  const authority = join(directory, 'authority/cert.pem')
  expect((await raftkitCertificates('show', authority)).said).toMatch(/verifies +yes/)
  await raftkitCertificates('init', directory, '--cluster', 'shop', '--force')
  const other = await raftkitCertificates('--json', 'show', join(folder, 'cert.pem'), '--ca', authority)
  expect(other.code).toBe(1)
  expect(JSON.parse(other.said)).toMatchObject({
    role: 'peer',
    cluster: 'shop',
    name: 'n1',
    verifies: false,
    problem: 'it is not signed by this CA',
  })
})

test.each([
  ['no command', [], /Usage/],
  ['no cluster', ['init', 'DIR'], /--cluster/],
  ['a cluster that is no name', ['init', 'DIR', '--cluster', 'a b'], /INVALID_OPTION: cluster: "a b"/],
  ['a node that would leave the folder', ['node', 'DIR', '../n1'], /INVALID_OPTION: node: "..\/n1"/],
  ['days that are none', ['node', 'DIR', 'n1', '--days', '-1'], /a number above 0/],
  ['a file that is not there', ['show', 'nowhere.pem'], /ENOENT/],
  ['a file that is no certificate', ['show', 'package.json'], /one certificate in PEM is wanted/],
])('%s is a wrong argument', async (_, args, sentence) => {
  await raftkitCertificates('init', directory, '--cluster', 'shop')
  const ran = await raftkitCertificates(...args.map((arg) => (arg === 'DIR' ? directory : arg)))
  expect(ran).toMatchObject({ code: 3, complained: expect.stringMatching(sentence) })
})

test('without an authority it says how to make one', async () => {
  const ran = await raftkitCertificates('node', directory, 'n1')
  expect(ran).toMatchObject({ code: 3, complained: expect.stringMatching(/make an authority first, with `init /) })
})

test('a list of the denied is not touched when a certificate is renewed', async () => {
  await raftkitCertificates('init', directory, '--cluster', 'shop')
  await raftkitCertificates('node', directory, 'n1')
  await writeFile(join(directory, 'nodes/n1/deny.txt'), 'raft://shop/n2\n')
  await raftkitCertificates('node', directory, 'n1', '--force')
  expect(readTls(join(directory, 'nodes/n1')).deny).toEqual(['raft://shop/n2'])
})
