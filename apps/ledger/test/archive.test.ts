import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Committed, certifiedRaft, founding, positionsOf, type Trust, verifyReceipt } from '@raftkit/bft'
import { ed25519, generateKey, sha256, verifyHere } from '@raftkit/ed25519'
import { memoryStorage } from '@raftkit/storage-memory'
import { memoryNetwork } from '@raftkit/transport-memory'
import { createNode, type Node } from 'raftkit'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ledger } from '../src/machine.ts'
import { Archive } from '../src/server/archive.ts'

const keys = ['a', 'b', 'c', 'd'].map((id) => ({ id, own: ed25519(generateKey()) }))
const members = keys.map(({ id, own }) => ({ id, key: own.key }))
const trust: Trust = {
  digest: sha256,
  epochs: [founding(sha256, { cluster: 'archive', group: 'main', members }).members],
}
let nodes: Node<typeof ledger>[]
/** As the first member was given it. */
const committed: Committed[] = []
let positions: number[]

beforeAll(async () => {
  const network = memoryNetwork()
  nodes = await Promise.all(
    keys.map(({ id, own }) =>
      createNode({
        ...{ id, cluster: 'archive', machine: ledger, storage: memoryStorage(), transport: network.transport() },
        ...{ members: { a: 'a', b: 'b', c: 'c', d: 'd' }, signatures: own, timing: { electionTimeout: 300 } },
        protocol: certifiedRaft({
          ...{ members, digest: sha256, checkpointEntries: 4 },
          ...(id === 'a' && { archive: (one: Committed) => void committed.push(one) }),
        }),
      }),
    ),
  )
  positions = []
  for (let at = 0; at < 60; at++)
    positions.push((await nodes[at % 4]!.commands.append({ content: `entry ${at}` })).position)
  const isThere = (): boolean => committed.map(positionsOf).at(-1)?.to === positions.at(-1)
  while (nodes[0]!.receipt(positions[0]!) !== undefined || !isThere()) await pause(10)
}, 30_000)
afterAll(() => Promise.all(nodes.map((node) => node.close())))

let folder: string
let said: string[]
const say = (line: string) => void said.push(line)
const open = (): Promise<Archive> => Archive.open(join(folder, 'receipts'), say)

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'raftkit-archive-'))
  said = []
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function proves(archive: Archive, from = 0, to: number = positions.length): Promise<void> {
  for (const position of positions.slice(from, to)) {
    const receipt = await archive.receipt(position)
    expect(receipt, `of ${position}`).toBeDefined()
    const proven = verifyReceipt(receipt!, trust, verifyHere)
    expect(position).toBeGreaterThanOrEqual(proven.position)
    expect(position).toBeLessThan(proven.position + proven.request.operations.length)
  }
}

describe('the archive of a member', () => {
  test('gives a receipt for everything that was executed, though the member forgot it, and after a restart', async () => {
    const archive = await open()
    for (const one of committed) archive.keep(one)
    // Some of it is not written yet.
    await proves(archive)
    await archive.close()
    const again = await open()
    await proves(again)
    for (const position of [0, 1, positions.at(-1)! + 1, 1e9]) expect(await again.receipt(position)).toBeUndefined()
    await again.close()
    expect(said).toEqual([])
  })

  test('takes what comes again after a restart once, however it is cut then', async () => {
    const middle = Math.floor(committed.length / 2)
    const archive = await open()
    for (const one of committed.slice(0, middle)) archive.keep(one)
    await archive.close()
    const again = await open()
    // From a checkpoint on, in one.
    again.keep({
      certificate: committed.at(-1)!.certificate,
      entries: committed.slice(middle - 5).flatMap(({ entries }) => entries),
    })
    await proves(again)
    again.keep(committed[0]!)
    await proves(again)
    await again.close()
  })

  test('of a member that came later has a gap, and says nothing about it', async () => {
    const archive = await open()
    const late = committed.slice(-10)
    for (const one of late) archive.keep(one)
    const { from } = positionsOf(late[0]!)
    expect(await archive.receipt(positions[0]!)).toBeUndefined()
    await proves(
      archive,
      positions.findIndex((position) => position >= from),
    )
    await archive.close()
  })

  test('that cannot be opened says so, keeps nothing, and throws nothing', async () => {
    writeFileSync(join(folder, 'receipts'), 'a file where a folder should be')
    const archive = await open()
    expect(said).toEqual([expect.stringContaining('RECEIPTS ARE NOT KEPT')])
    for (const one of committed) archive.keep(one)
    expect(await archive.receipt(positions[0]!)).toBeUndefined()
    await archive.close()
  })
})
