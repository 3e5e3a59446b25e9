import type { Disk as FileDisk } from '@raftkit/files'
import { replicate } from 'raftkit'
import { expect, test } from 'vitest'
import { Random, World } from '../src/index.ts'
import { Content } from '../src/world/disk/files/content.ts'
import { Files } from '../src/world/disk/files/file-disk.ts'
import { Tree } from '../src/world/disk/files/tree.ts'
import { Process } from '../src/world/process.ts'
import { counters } from './cluster.ts'

const bytes = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value)

function seen(content: Content): Uint8Array {
  const into = new Uint8Array(content.size)
  content.read(into, 0)
  return into
}

/** Every value that the bytes of the sectors have after a power cut, over many seeds. */
function outcomes(make: (content: Content) => void, lost = 0.5): Set<string> {
  const found = new Set<string>()
  for (let seed = 0; seed < 200; seed++) {
    const content = new Content()
    make(content)
    content.cutPower(new Random(seed), lost)
    const left = seen(content)
    found.add(Array.from({ length: Math.ceil(left.length / 512) }, (_, i) => left[i * 512]).join(' '))
  }
  return found
}

test('a power cut leaves of what was not synced all, nothing, or any sectors, and the length without the bytes', () => {
  const found = outcomes((content) => content.write(bytes(1024, 7), 0))
  expect([...found].sort()).toEqual(['', '0 0', '0 7', '7', '7 0', '7 7'])
})

test('what was synced before stays, whatever becomes of what was written over it', () => {
  const found = outcomes((content) => {
    content.write(bytes(1024, 1), 0)
    content.sync(content.mark)
    content.write(bytes(512, 2), 512)
    content.truncate(512)
  })
  expect([...found].sort()).toEqual(['1', '1 1', '1 2'])
})

test('a sync covers what was written when it began, and no more', () => {
  const found = outcomes((content) => {
    content.write(bytes(512, 1), 0)
    const { mark } = content
    content.write(bytes(512, 2), 0)
    content.sync(mark)
  }, 1)
  expect([...found]).toEqual(['1'])
})

test('a write that is synced for itself is there, also over an older one that may be lost', () => {
  const found = outcomes((content) => {
    content.write(bytes(512, 1), 0)
    content.write(bytes(512, 2), 0, true)
  })
  expect([...found]).toEqual(['2'])
})

test('after a sync that failed, readers see what the disk may never hold, and no later sync helps', () => {
  const found = new Set<string>()
  for (let seed = 0; seed < 50; seed++) {
    const content = new Content()
    content.write(bytes(512, 3), 0)
    content.failSync(new Random(seed))
    expect(seen(content)[0]).toBe(3)
    content.sync(content.mark)
    content.cutPower(new Random(seed), 1)
    found.add(String(seen(content)[0]))
  }
  expect(found).toEqual(new Set(['3', 'undefined', '0']))
})

test('a name is there after a power cut once its folder was synced; a rename leaves one of the two names', () => {
  const found = new Set<string>()
  for (let seed = 0; seed < 50; seed++) {
    const tree = new Tree()
    tree.createFolder('/a')
    const folder = tree.folder('/a')!
    folder.put('old', new Content())
    folder.sync(folder.mark)
    folder.rename('old', 'new')
    folder.put('other', new Content())
    tree.root.cutPower(new Random(seed), 0.5)
    found.add([...tree.folder('/a')!.names.keys()].sort().join(' '))
  }
  expect(found).toEqual(new Set(['old', 'new', 'old other', 'new other']))
})

/** The files of one server, and its process. */
function machine(): {
  readonly world: World
  readonly process: Process
  readonly files: Files
  readonly disk: FileDisk
} {
  const world = new World({ seed: 1, machine: () => replicate(counters) })
  const server = world.server('n1')
  const process = new Process(server, ++server.boots)
  const files = new Files(server.disk, new Tree(), process)
  return { world, process, files, disk: files.port }
}

test('calls take virtual time, and report what a file system reports', async () => {
  const { world, disk } = machine()
  const calls = (async () => {
    await expect(disk.open('/data/log', 'write')).rejects.toMatchObject({ code: 'ENOENT' })
    await disk.createDirectory('/data')
    const file = await disk.open('/data/log', 'write')
    const buffer = bytes(10, 5)
    const written = file.write([buffer, bytes(10, 6)], 5)
    buffer.fill(9)
    await written
    expect(await file.size()).toBe(25)
    const into = new Uint8Array(30)
    expect(await file.read(into, 4)).toBe(21)
    expect([...into.subarray(0, 3), into[11]]).toEqual([0, 5, 5, 6])
    world.server('n1').disk.fill()
    await expect(file.write([bytes(100, 1)], 20)).rejects.toMatchObject({ code: 'ENOSPC' })
    await file.write([bytes(5, 1)], 0)
    await expect(disk.open('/data/other', 'write')).rejects.toMatchObject({ code: 'ENOSPC' })
    world.server('n1').disk.free()
    world.server('n1').disk.fail()
    await expect(file.sync()).rejects.toMatchObject({ code: 'EIO' })
    expect(await disk.list('/data')).toEqual(['log'])
    expect(await disk.list('/nowhere')).toEqual([])
  })()
  await world.run({})
  await calls
  expect(world.now).toBeGreaterThan(0)
})

test('a process that ends in the middle of a write leaves any part of it, and hears nothing', async () => {
  const sizes = new Set<number>()
  for (let seed = 0; seed < 40; seed++) {
    const { world, process, files, disk } = machine()
    const opened = disk.createDirectory('/d').then(() => disk.open('/d/f', 'through'))
    await world.run({})
    let heard = false
    void (await opened).write([bytes(2048, 1)], 0).then(() => {
      heard = true
    })
    process.die()
    files.end(new Random(seed))
    await world.run({})
    expect(heard).toBe(false)
    const content = files.tree.find('/d/f') as Content
    sizes.add(content.size)
  }
  expect([...sizes].sort((a, b) => a - b)).toEqual([0, 512, 1024, 1536, 2048])
})

test('a folder belongs to one process as long as it lives', async () => {
  const { world, process, files, disk } = machine()
  const { server } = process
  const other = new Files(server.disk, files.tree, new Process(server, ++server.boots))
  const first = disk.lock('/d')
  await world.run({})
  await first
  const second = other.port.lock('/d')
  second.catch(() => undefined)
  await world.run({})
  await expect(second).rejects.toMatchObject({ code: 'LOCKED' })
  process.die()
  const third = other.port.lock('/d')
  await world.run({})
  await third
})
