import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { toHex } from '@raftkit/bytes'
import { generateKey } from '@raftkit/ed25519'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { genesisFile, memberFile, memberFolder, operatorKey } from '../src/organisations.ts'
import { FourMembers, type Ran } from './four-members.ts'

const slow = { timeout: 60_000 }
let four: FourMembers
const at = (name: string): string => join(four.directory, name)
const operator = (id: string): string => operatorKey(four.directory, id)
const memberJson = (id: string): string => memberFile(memberFolder(four.directory, id))

/** As far as it goes: each step must go well. */
async function well(clerk: string, ...args: string[]): Promise<Ran> {
  const ran = await four.command(clerk, ...args)
  expect(`${ran.code} ${ran.code === 0 ? '' : ran.said}`).toBe('0 ')
  return ran
}

async function exchange(file: string, by: readonly string[], ...proposal: string[]): Promise<Ran> {
  await well('north', 'members', 'propose', ...proposal, '--out', at(file))
  for (const id of by) await well(id, 'members', 'approve', at(file), '--key', operator(id))
  return well('north', 'members', 'apply', at(file))
}

beforeAll(async () => {
  four = await FourMembers.plan()
  await Promise.all(four.genesis.members.map(({ id }) => four.start(id)))
}, 60_000)
afterAll(() => four.end())

describe('a ledger whose members are exchanged', () => {
  test('goes on when an organisation replaces another, which is told and ends', slow, async () => {
    await well('north', 'append', 'before', '--receipts', at('receipts'))
    await four.prepare('centre')
    await four.start('centre')
    expect(four.log.at(-1)).toContain('waits for the operators')
    const left = four.ended('east')
    const applied = await exchange(
      'first.json',
      ['north', 'south', 'west'],
      ...['--leave', 'east', '--come', memberJson('centre')],
    )
    const members = applied.lines[0]!.members as { id: string; operator: string }[]
    expect(members.map(({ id }) => id)).toEqual(['centre', 'north', 'south', 'west'])
    expect(members[0]!.operator).toBe(JSON.parse(readFileSync(memberJson('centre'), 'utf8')).operator)
    await left
    expect(four.log).toContainEqual(expect.stringContaining('east: this is a member no longer'))

    await well('west', 'append', 'after')
    await four.stop('south')
    // With one away, nothing goes without the new one.
    const { lines } = await well('centre', 'append', 'with centre')
    expect((lines[0]!.by as string[]).length).toBeGreaterThan(1)
    await four.start('south')
    const read = await well('south', 'read', '1')
    expect(read.lines.map(({ content }) => content)).toEqual(['before', 'after', 'with centre'])
    const status = await well('north', 'status')
    expect((status.lines[0]!.members as { id: string }[]).map(({ id }) => id)).toEqual([
      ...['centre', 'north', 'south', 'west'],
    ])
  })

  test(
    'verifies receipts of every epoch offline, and gives those of entries that members long forgot',
    slow,
    async () => {
      const old = (await well('north', 'read', '1', '1')).lines[0]!
      const later = (await well('north', 'read', '3', '3')).lines[0]!
      const files = [at('old.receipt'), at('later.receipt')]
      await well('north', 'receipt', String(old.position), '--out', files[0]!)
      await well('north', 'receipt', String(later.position), '--out', files[1]!)
      const verified = await well('west', 'verify', ...files, join(at('receipts'), `receipt-${old.position}.raftkit`))
      expect(verified.lines.map(({ verified, position }) => [verified, position])).toEqual([
        [true, old.position],
        [true, later.position],
        [true, old.position],
      ])
      // Who has the genesis alone knows no more than the founders.
      const alone = await four.command('west', '--epochs', at('nowhere'), 'verify', files[1]!)
      expect([alone.code, alone.lines[0]!.reason]).toEqual([3, expect.stringContaining('epoch 1')])
    },
  )

  test('shows the members of each epoch, to those too who know the founders alone', slow, async () => {
    const epochs = join(four.directory, 'epochs.raftkit')
    expect(existsSync(epochs)).toBe(true)
    rmSync(epochs)
    const { lines } = await well('west', 'members')
    expect(lines.map(({ epoch, threshold }) => [epoch, threshold])).toEqual([
      [0, 3],
      [1, 3],
    ])
    expect(existsSync(epochs)).toBe(true)
    copyFileSync(genesisFile(four.directory), epochs)
    const spoilt = await four.command('west', 'members')
    expect([spoilt.code, spoilt.said]).toEqual([2, expect.stringContaining('remove it')])
    rmSync(epochs)
  })

  test('goes on when one that lost its disk comes back under a new key, and a restart finds it', slow, async () => {
    await well('north', 'members')
    await four.stop('south')
    for (const folder of ['member', 'clerk', 'operator', 'data']) rmSync(at(`south/${folder}`), { recursive: true })
    await four.prepare('south')
    await exchange(
      'second.json',
      // The operator of the organisation that came is one.
      ['north', 'west', 'centre'],
      ...['--leave', 'south', '--come', memberJson('south')],
    )
    await four.start('south')
    await four.stop('west')
    await well('south', 'append', 'back')
    await four.start('west')
    await four.stop('south')
    await four.start('south')
    await four.stop('centre')
    await four.start('centre')
    await four.stop('north')
    await well('south', 'append', 'again')
    expect((await well('west', 'members')).lines.map(({ epoch }) => epoch)).toEqual([0, 1, 2])
    await four.start('north')
  })

  test('tells one that left as soon as it comes back', slow, async () => {
    await four.start('east')
    await four.ended('east')
    expect(four.log.filter((line) => line.includes('east: this is a member no longer'))).toHaveLength(2)
  })
})

describe('an exchange', () => {
  test('that too few operators approve of is not handed over, and copies are put together', slow, async () => {
    await four.prepare('fifth')
    await well('north', 'members', 'propose', '--come', memberJson('fifth'), '--threshold', '4', '--out', at('a.json'))
    copyFileSync(at('a.json'), at('b.json'))
    copyFileSync(at('a.json'), at('c.json'))
    for (const [file, id] of [
      ['a', 'north'],
      ['b', 'west'],
      ['c', 'centre'],
    ] as const)
      await well(id, 'members', 'approve', at(`${file}.json`), '--key', operator(id))
    const few = await four.command('north', 'members', 'apply', at('a.json'), at('b.json'))
    expect([few.code, few.said]).toEqual([
      2,
      expect.stringContaining('2 operators approve of this exchange, and 3 are due'),
    ])
    writeFileSync(at('d.json'), readFileSync(at('c.json'), 'utf8').replace('"threshold": 4', '"threshold": 2'))
    const differs = await four.command('north', 'members', 'apply', at('a.json'), at('b.json'), at('d.json'))
    expect([differs.code, differs.said]).toEqual([2, expect.stringContaining('not copies')])
    await four.start('fifth')
    const { lines } = await well('north', 'members', 'apply', at('a.json'), at('b.json'), at('c.json'))
    expect(lines[0]).toMatchObject({ epoch: 3, threshold: 4 })
    const again = await four.command('north', 'members', 'apply', at('a.json'))
    expect([again.code, again.said]).toEqual([2, expect.stringContaining('ends epoch 2')])
  })

  test.each([
    ['of nobody', ['members', 'propose', '--out', 'x'], 'say who'],
    ['that removes a stranger', ['members', 'propose', '--leave', 'nobody', '--out', 'x'], 'the members are'],
    ['that is not there', ['members', 'apply', '/nowhere'], 'members propose'],
  ])('%s is refused, in words', slow, async (_, args, why) => {
    const ran = await four.command('north', ...args)
    expect([ran.code, ran.said]).toEqual([2, expect.stringContaining(why)])
  })

  test('tells operators everything that it changes, before they sign', slow, async () => {
    await well('north', 'members', 'propose', '--leave', 'fifth', '--threshold', '2', '--out', at('h.json'))
    // By whoever has the file in hand.
    const file = JSON.parse(readFileSync(at('h.json'), 'utf8')) as { members: { id: string; operator: string }[] }
    file.members.find(({ id }) => id === 'west')!.operator = toHex(generateKey().public)
    writeFileSync(at('h.json'), JSON.stringify(file))
    const { lines } = await well('north', 'members', 'approve', at('h.json'), '--key', operator('north'))
    expect(lines[0]).toMatchObject({
      leave: ['fifth'],
      come: [],
      change: ['west'],
      threshold: 2,
      approvedBy: ['north'],
    })
  })

  test('of which too few would stay is refused by every member, in words', slow, async () => {
    for (const id of ['one', 'two', 'three', 'four']) await four.prepare(id)
    const [leave, come] = [
      ['centre', 'north', 'south', 'west'],
      ['one', 'two', 'three', 'four'],
    ]
    await well(
      'north',
      'members',
      'propose',
      '--leave',
      ...leave,
      '--come',
      ...come.map(memberJson),
      '--out',
      at('g.json'),
    )
    for (const id of leave) await well(id, 'members', 'approve', at('g.json'), '--key', operator(id))
    const ran = await four.command('north', 'members', 'apply', at('g.json'))
    expect([ran.code, ran.said]).toEqual([1, expect.stringContaining('must stay')])
  })

  test('by whoever is no operator, or brings a member twice, is refused, in words', slow, async () => {
    await well('north', 'members', 'propose', '--leave', 'fifth', '--out', at('e.json'))
    const stranger = await four.command('north', 'members', 'approve', at('e.json'), '--key', operator('east'))
    expect([stranger.code, stranger.said]).toEqual([2, expect.stringContaining("no operator's key")])
    const twice = await four.command(
      'north',
      'members',
      'propose',
      '--come',
      memberJson('centre'),
      '--out',
      at('f.json'),
    )
    expect([twice.code, twice.said]).toEqual([2, expect.stringContaining('a member already')])
  })
})
