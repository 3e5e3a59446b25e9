import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clerkFolder, memberFolder } from '../src/organisations.ts'
import type { MemberStatus } from '../src/server/https.ts'
import { HttpsWire, readIdentity } from '../src/wire.ts'
import { FourMembers } from './four-members.ts'

const slow = { timeout: 60_000 }
let four: FourMembers

beforeAll(async () => {
  four = await FourMembers.plan()
  // East leads the first term, and lies from the beginning.
  await Promise.all(four.genesis.members.map(({ id }) => four.start(id, id === 'east' ? 'F1,F40' : undefined)))
}, 60_000)
afterAll(() => four.end())

describe('a ledger of four organisations, one of which lies', () => {
  test('takes what clerks append, once, and tells all of them the same', slow, async () => {
    const texts = Array.from({ length: 70 }, (_, at) => `entry ${at}`)
    const appended = await four.command('north', 'append', ...texts, '--receipts', join(four.directory, 'receipts'))
    expect(appended.code).toBe(0)
    const entries = appended.lines.filter(({ number }) => number !== undefined)
    expect(entries.map(({ content }) => content)).toEqual(texts)
    expect((await four.command('south', 'append', '--parse', '{"amount":3}')).code).toBe(0)
    expect((await four.command('south', 'append', '-')).code).toBe(0)

    const read = await four.command('west', 'read', '1', '100')
    expect(read.lines.map(({ content }) => content)).toEqual([...texts, { amount: 3 }, 'from', 'standard input'])
    expect(read.lines.map(({ number }) => number)).toEqual(Array.from({ length: 73 }, (_, at) => at + 1))
    const { authors } = four.genesis
    expect(read.lines[0]!.author).toBe(authors['north-clerk'])
    expect(read.lines[72]!.author).toBe(authors['south-clerk'])
    expect((await four.command('west', 'read', '900')).lines).toEqual([])
  })

  test('gives receipts that verify offline, and with a byte changed do not', slow, async () => {
    const { lines } = await four.command('west', 'read', '71', '71')
    const position = Number(lines[0]!.position)
    const file = join(four.directory, 'one.receipt')
    expect((await four.command('west', 'receipt', String(position), '--out', file)).code).toBe(0)
    const verified = await four.command('north', 'verify', file)
    expect(verified.code).toBe(0)
    expect(verified.lines[0]).toMatchObject({
      verified: true,
      position,
      author: 'south-clerk',
      operations: [{ name: 'append', input: { content: { amount: 3 } } }],
    })
    const bytes = readFileSync(file)
    bytes[bytes.length - 1]! ^= 1
    writeFileSync(file, bytes)
    const spoilt = await four.command('north', 'verify', file)
    expect([spoilt.code, spoilt.lines[0]!.verified]).toEqual([3, false])
    expect((await four.command('north', 'receipt', '0')).code).toBe(2)
  })

  test('proves who lied, to anyone who has the genesis file', slow, async () => {
    const folder = join(four.directory, 'evidence')
    const collected = await four.command('north', 'evidence', 'collect', folder)
    const files = collected.lines.map(({ file }) => String(file))
    expect(files.length).toBeGreaterThan(0)
    const verified = await four.command('north', 'evidence', 'verify', ...files)
    expect(verified.code).toBe(0)
    expect(new Set(verified.lines.map(({ who }) => who))).toEqual(new Set(['east']))
    const bytes = readFileSync(files[0]!)
    bytes[40]! ^= 1
    writeFileSync(files[0]!, bytes)
    expect((await four.command('north', 'evidence', 'verify', files[0]!)).code).toBe(3)
    expect(four.log.join('\n')).toContain('THIS MEMBER LIES')
  })

  test('tells by its status that all have the same, and who is away', slow, async () => {
    await four.stop('east')
    const { code, lines } = await four.command('north', 'status')
    expect(code).toBe(0)
    expect(lines[0]).toMatchObject({ entries: 73, differs: [] })
    const members = lines[0]!.members as (Pick<MemberStatus, 'id' | 'state'> & Partial<MemberStatus>)[]
    expect(members.map(({ id, state }) => `${id} ${state}`)).toEqual([
      'east unreachable',
      'north running',
      'south running',
      'west running',
    ])
    expect(new Set(members.slice(1).map(({ hash }) => hash))).toEqual(new Set([lines[0]!.hash]))
    const { peers = [] } = members.find(({ id }) => id === 'north')!
    expect(peers.map(({ id }) => id)).toEqual(['east', 'south', 'west'])
    expect(Math.max(...peers.slice(1).map(({ match }) => match))).toBeGreaterThan(70)
  })

  test('knows of everything after a restart, the liar among the others too', slow, async () => {
    await four.stop('south')
    await four.start('south')
    await four.start('east')
    expect((await four.command('east', 'append', 'after the restart')).code).toBe(0)
    expect((await four.command('south', 'read', '74')).lines.map(({ content }) => content)).toEqual([
      'after the restart',
    ])
  })
})

test('a member whose receipts cannot be kept says so, and goes on; the others have them', slow, async () => {
  await four.stop('west')
  const receipts = join(four.dataOf('west'), 'receipts')
  rmSync(receipts, { recursive: true })
  writeFileSync(receipts, 'no folder')
  await four.start('west')
  expect(four.log.join('\n')).toContain('west: RECEIPTS ARE NOT KEPT')
  await four.stop('north')
  const { code, lines } = await four.command('west', 'append', 'without a receipt of its own')
  expect(code).toBe(0)
  const position = String(lines[0]!.position)
  const ran = await four.command('west', 'receipt', position, '--out', join(four.directory, 'kept.receipt'))
  expect(ran.code).toBe(0)
  await four.start('north')
})

test('a clerk whose certificate a member denies is not heard there', slow, async () => {
  const { directory, genesis } = four
  writeFileSync(join(memberFolder(directory, 'north'), 'deny.txt'), `raft://${genesis.cluster}/east-clerk\n`)
  await four.stop('north')
  await four.start('north')
  const north = genesis.members.find(({ id }) => id === 'north')!
  const status = (clerk: string): Promise<unknown> => {
    const wire = new HttpsWire(genesis, readIdentity(clerkFolder(directory, clerk)).tls)
    return wire.get(north, '/v1/status', AbortSignal.timeout(10_000)).finally(() => wire.hangUp())
  }
  await expect(status('east')).rejects.toMatchObject({ code: 'TRANSPORT_FAILED' })
  expect(await status('west')).toMatchObject({ id: 'north' })
})

describe('the command', () => {
  test.each([
    ['a command that there is not', ['frobnicate'], 'unknown command'],
    ['a member that there is not', ['serve', '--id', 'nobody'], 'is none of east, north, south, west'],
    ['a lie that there is not', ['serve', '--id', 'east', '--lie', 'F99'], 'knows no "F99"'],
    ['three members', ['keys', 'nowhere', 'a=h:1:2', 'b=h:3:4', 'c=h:5:6'], 'stand no liar'],
    ['a site that is none', ['keys', 'nowhere', 'a', 'b', 'c', 'd'], 'is not like north='],
    ['a position that is none', ['receipt', 'x'], 'whole number'],
    ['content that is not JSON', ['append', '--parse', '{'], 'is not JSON'],
    ['a receipt that is not there', ['verify', '/nowhere/receipt'], 'ENOENT'],
  ])('refuses %s, in words', slow, async (_, args, why) => {
    const ran = await four.command('north', ...args)
    expect(ran.code).toBe(2)
    expect(ran.said).toContain(why)
  })
})
