import { crc32 as nativeCrc32 } from 'node:zlib'
import { crc32 } from '@raftkit/bytes'
import type { CaseContext } from '../harness/case.ts'
import type { Sample } from '../harness/part.ts'
import { rates, timed } from '../harness/timed.ts'

const work = {
  copy: (bytes: Buffer, other: Buffer) => bytes.copy(other),
  checksum: (bytes: Buffer) => crc32(bytes),
  'checksum of zlib': (bytes: Buffer) => nativeCrc32(bytes),
}

export type Work = keyof typeof work

/** `perSecond` counts bytes. */
export async function memory({ kind, size }: { kind: Work; size: number }, context: CaseContext): Promise<Sample> {
  const bytes = Buffer.alloc(size, 'raftkit')
  const other = Buffer.alloc(size)
  const times = Math.ceil(1_048_576 / size)
  let sum = 0
  const found = await timed(context, () => {
    for (let i = 0; i < times; i++) sum ^= work[kind](bytes, other)
    return times * size
  })
  if (!Number.isInteger(sum)) throw new Error('the work gave no number')
  const { perSecond } = rates(found)
  return { perSecond, gbPerSecond: perSecond / 1e9 }
}
