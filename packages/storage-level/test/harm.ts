import { open } from 'node:fs/promises'

// What a disk does to a file behind everybody's back.

export async function flip(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+')
  const byte = Buffer.alloc(1)
  await file.read(byte, 0, 1, at)
  byte[0]! ^= 1 << (at % 8)
  await file.write(byte, 0, 1, at)
  await file.close()
}

export async function zero(path: string, at: number, size: number): Promise<void> {
  const file = await open(path, 'r+')
  await file.write(Buffer.alloc(size), 0, size, at)
  await file.close()
}
