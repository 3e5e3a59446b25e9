import { writeSync } from 'node:fs'
import type { LogStore } from '@raftkit/contract'
import { levelStorage } from '@raftkit/storage-level'
import { append } from '@raftkit/testing/records'

// Run as a process of its own, by the tests of flushes and of full disks.

const [, , mode = '', directory = '', ...rest] = process.argv
const say = (line: string): void => {
  writeSync(1, `${line}\n`)
}

const storage = levelStorage(directory, { writeBufferBytes: Number(rest[0]) })

/** One record per write, each awaited; says how each ended. */
async function alone(log: LogStore, count: number, bytes: number): Promise<void> {
  for (let i = 1; i <= count; i++) {
    try {
      await log.write(append(log.found.last + i, 1, i, bytes))
      say(`done ${i}`)
    } catch (error) {
      const { code, cause } = error as { code: string; cause?: { message?: string } }
      say(`failed ${i} ${code} ${cause?.message}`)
    }
  }
}

switch (mode) {
  case 'alone': {
    await alone(await storage.log('main'), Number(rest[1]), Number(rest[2]))
    say('end')
    await storage.close()
    break
  }
  case 'together': {
    // All groups write at once, over and over: how many flushes that takes, the parent counts.
    const logs = await Promise.all(Array.from({ length: 20 }, (_, g) => storage.log(`g${g}`)))
    for (let i = 1; i <= Number(rest[1]); i++) await Promise.all(logs.map((log) => log.write(append(i, 1, i))))
    say('end')
    await storage.close()
    break
  }
  case 'full': {
    // Writes until the disk is full, tells what still works then, and goes on once there is room.
    const log = await storage.log('main')
    let issued = 0
    let stuck: NodeJS.Timeout | undefined
    process.stdin.on('data', () => void storage.close())
    for (let i = 1; i <= Number(rest[1]); i++) {
      issued = i
      const write = log.write(append(i, 1, i, Number(rest[2])))
      stuck = setTimeout(async () => {
        const found = await log.read(1, i, 1_000_000)
        const pending = await log.read(i, i, 1_000_000)
        say(`full ${i - 1} read ${found.count} pending ${pending.count}`)
      }, 500)
      try {
        await write
      } catch (error) {
        say(`failed ${i} ${(error as { code: string }).code}`)
        break
      }
      clearTimeout(stuck)
      say(`done ${i}`)
    }
    say(`end ${issued}`)
    process.stdin.destroy()
    await storage.close()
    break
  }
}
