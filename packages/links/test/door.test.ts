import { connect, createServer, type Socket } from 'node:net'
import { Door, type Guest } from '@raftkit/links'
import { afterEach, describe, expect, test } from 'vitest'

const opened: Socket[] = []
const doors: Door[] = []

/** A door that stands open, and those who came in. */
async function open(
  maxConnections = 1000,
): Promise<{ door: Door; guests: Guest[]; knock: (from?: string) => Promise<Socket> }> {
  const guests: Guest[] = []
  const door = new Door({ maxConnections }, { refused: () => {} }, (guest) => void guests.push(guest))
  doors.push(door)
  const { port } = await door.listen({ host: '127.0.0.1', port: 0 })
  const knock = (from = '127.0.0.1') =>
    new Promise<Socket>((resolve) => {
      const socket = connect({ host: '127.0.0.1', port, localAddress: from }, () => {
        socket.write('x')
        resolve(socket)
      })
      opened.push(socket.on('error', () => {}).resume())
    })
  return { door, guests, knock }
}

const closed = (socket: Socket) =>
  new Promise<void>((resolve) => (socket.closed ? resolve() : void socket.on('close', () => resolve())))

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2))
}

afterEach(async () => {
  for (const socket of opened.splice(0)) socket.destroy()
  await Promise.all(
    doors.splice(0).map((door) => {
      const stopped = door.stop()
      door.destroy()
      return stopped
    }),
  )
})

describe('a door', { timeout: 30_000 }, () => {
  test('has room for 64 strangers, the newest, and for as many guests as were admitted', async () => {
    const { guests, knock } = await open()
    const sockets: Socket[] = []
    for (let n = 0; n < 200; n++) {
      sockets.push(await knock())
      await until(() => guests.length > n)
      if (n % 2 === 0) guests[n]!.admitted()
    }
    const strangers = sockets.filter((_, n) => n % 2)
    await Promise.all(strangers.slice(0, 36).map(closed))
    expect(strangers.slice(36).every(({ closed }) => !closed)).toBe(true)
    expect(sockets.filter((_, n) => n % 2 === 0).every(({ closed }) => !closed)).toBe(true)
  })

  // Only Linux has all of 127.0.0.0/8 by itself.
  test.runIf(process.platform === 'linux')('gives whoever floods it no room but its own', async () => {
    const { guests, knock } = await open()
    const modest = [await knock('127.0.0.2'), await knock('127.0.0.3'), await knock('127.0.0.2')]
    const flood: Socket[] = []
    for (let n = 0; n < 300; n++) {
      flood.push(await knock())
      await until(() => guests.length > n + 3)
    }
    await Promise.all(flood.slice(0, 300 - 61).map(closed))
    expect([...modest, ...flood.slice(-61)].every(({ closed }) => !closed)).toBe(true)
  })

  test('cuts strangers after five seconds whatever they say, and who leaves after one; never a guest', async () => {
    const { guests, knock } = await open()
    const [stranger, leaving, staying] = [await knock(), await knock(), await knock()]
    await until(() => guests.length === 3)
    for (const guest of guests.slice(1)) guest.admitted()
    guests[1]!.leave()
    const talk = setInterval(() => stranger.write('x'), 100)
    await Promise.all([closed(stranger), closed(leaving)])
    clearInterval(talk)
    expect(staying.closed).toBe(false)
  })

  test('lets in no more than it was told', async () => {
    const { guests, knock } = await open(3)
    const sockets = await Promise.all(Array.from({ length: 10 }, () => knock()))
    await until(() => sockets.filter(({ closed }) => !closed).length === 3)
    expect(guests.length).toBe(3)
  })

  test('once stopped lets nobody in, sends strangers away, and leaves guests until it is destroyed', async () => {
    const { door, guests, knock } = await open()
    const [guest, stranger] = [await knock(), await knock()]
    await until(() => guests.length === 2)
    guests[0]!.admitted()
    const stopped = door.stop()
    await closed(stranger)
    expect(guest.closed).toBe(false)
    door.destroy()
    await Promise.all([stopped, closed(guest)])
  })

  test('says which address is taken, and what to do', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as { port: number }
    const door = new Door({ maxConnections: 1 }, { refused: () => {} }, () => {})
    await expect(door.listen({ host: '127.0.0.1', port })).rejects.toThrow(
      `cannot listen at 127.0.0.1:${port}: another process listens there`,
    )
    other.close()
  })

  test('that is stopped while it opens rejects CLOSED and is shut', async () => {
    const door = new Door({ maxConnections: 1 }, { refused: () => {} }, () => {})
    const opening = door.listen({ host: '127.0.0.1', port: 0 })
    const stopped = door.stop()
    await expect(opening).rejects.toMatchObject({ code: 'CLOSED' })
    await stopped
  })
})
