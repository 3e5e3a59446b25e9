import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { readGenesis, trustOf, whose } from '../src/genesis.ts'
import { clerkFolder, genesisFile, makeOrganisations, memberFolder, signingKey } from '../src/organisations.ts'
import { readIdentity } from '../src/wire.ts'

const sites = ['a', 'b', 'c', 'd'].map((id, at) => ({
  id,
  host: 'ledger.example',
  port: 7101 + at,
  httpPort: 8101 + at,
}))
let directory: string

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'raftkit-genesis-'))
  await makeOrganisations(directory, 'audit', sites)
})

describe('the genesis file', () => {
  test('names the members, their keys and where they are, and is the same for all', () => {
    const genesis = readGenesis(genesisFile(directory))
    expect(genesis.members.map(({ id, address, url }) => [id, address, url])[1]).toEqual([
      'b',
      'ledger.example:7102',
      'https://ledger.example:8102',
    ])
    const [members] = trustOf(genesis).epochs
    expect(members!.list.map(({ id }) => id)).toEqual(['a', 'b', 'c', 'd'])
    const other = { ...genesis, cluster: 'another' }
    expect(trustOf(other).epochs[0]!.genesis.hash).not.toBe(members!.genesis.hash)
  })

  test('gives names to keys', () => {
    const genesis = readGenesis(genesisFile(directory))
    const { key } = readIdentity(clerkFolder(directory, 'c'))
    expect(whose(genesis, key.public)).toBe('c-clerk')
    expect(whose(genesis, genesis.members[3]!.key)).toBe('d')
    expect(whose(genesis, 'ab'.repeat(32))).toBe('abababab…')
  })

  test.each([
    ['is no JSON', () => '{', 'cannot be read'],
    [
      'names fewer than four members',
      (text: string) => JSON.stringify({ ...JSON.parse(text), members: [] }),
      'four at least',
    ],
    [
      'has a key that is none',
      (text: string) => text.replace(/"key": "[0-9a-f]{4}/, '"key": "zzzz'),
      '64 hexadecimal digits',
    ],
    ['has no address', (text: string) => text.replace('ledger.example:7101', 'somewhere'), 'is host:port'],
    ['is reached without TLS', (text: string) => text.replace('https://', 'http://'), 'is https://host:port'],
    ['has no name', (text: string) => text.replace('"audit"', '""'), '"cluster" is a name'],
  ])('that %s is refused, in words', (_, change, why) => {
    const file = join(directory, 'wrong.json')
    writeFileSync(file, change(readFileSync(genesisFile(directory), 'utf8')))
    expect(() => readGenesis(file)).toThrow(why)
  })
})

test('keys are for their owner alone, and nothing is written over', async () => {
  for (const folder of [memberFolder(directory, 'a'), clerkFolder(directory, 'a')])
    expect(statSync(join(folder, signingKey)).mode & 0o777).toBe(0o600)
  await expect(makeOrganisations(directory, 'audit', sites)).rejects.toThrow('exists already')
})
