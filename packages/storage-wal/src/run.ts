import { type ErrorCode, RaftkitError, type Run } from '@raftkit/contract'
import { pieceTarget } from './layout.ts'

/** Cuts a run between records. Throws `INVALID_OPTION` when it is not `count` records end to end. */
export function cut({ count, bytes }: Run): readonly Run[] {
  const pieces: Run[] = []
  let start = 0
  let held = 0
  let counted = 0
  let at = 0
  while (at < bytes.length) {
    const next = recordEnd(bytes, at, 'INVALID_OPTION')
    if (held > 0 && next - start > pieceTarget) {
      pieces.push({ count: held, bytes: bytes.subarray(start, at) })
      start = at
      held = 0
    }
    held++
    counted++
    at = next
  }
  if (held > 0) pieces.push({ count: held, bytes: bytes.subarray(start) })
  if (counted !== count)
    throw new RaftkitError('INVALID_OPTION', `the run holds ${counted} records where ${count} were told`)
  return pieces
}

/** Of `bytes`, the records from number `skip` on: at most `most`, about `maxBytes`, never none. Throws `DAMAGED` when they are fewer. */
export function slice(bytes: Uint8Array, skip: number, most: number, maxBytes: number): Run {
  let start = 0
  for (let i = 0; i < skip; i++) start = recordEnd(bytes, start, 'DAMAGED')
  let end = recordEnd(bytes, start, 'DAMAGED')
  let count = 1
  while (count < most && end - start < maxBytes) {
    end = recordEnd(bytes, end, 'DAMAGED')
    count++
  }
  return { count, bytes: bytes.subarray(start, end) }
}

/** `code`: `INVALID_OPTION` for what is handed over, `DAMAGED` for what was read. */
function recordEnd(bytes: Uint8Array, at: number, code: ErrorCode): number {
  const length =
    at + 4 > bytes.length
      ? 0
      : (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
  if (length < 4 || at + length > bytes.length)
    throw new RaftkitError(code, `the run has no whole record at byte ${at}`)
  return at + length
}
