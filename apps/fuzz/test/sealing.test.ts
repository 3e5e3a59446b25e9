import { expect, test } from 'vitest'
import { Random } from '../src/mutation/random.ts'
import { wal } from '../src/targets/storage.ts'

/** A segment whose only frame announces more of everything than there is. */
function boastful(): Uint8Array {
  const bytes = new Uint8Array(400)
  const view = new DataView(bytes.buffer)
  const head = 65
  bytes.set(Buffer.from('RKF1'), head)
  view.setUint32(head + 32, 0xffff_fff0, true)
  view.setUint32(head + 36, 0xffff_ffff, true)
  const item = head + 40
  bytes[item + 1] = 1
  view.setUint32(item + 3 + 16, 0xffff_ffff, true)
  return bytes
}

test('the log is sealed as far as there are bytes, whatever its numbers announce', () => {
  for (let seed = 0; seed < 20; seed++) {
    const given = boastful()
    const sealed = wal.seal!(given, new Random(String(seed)))
    expect(sealed).toHaveLength(400)
    expect(sealed.slice(61, 65)).not.toEqual(new Uint8Array(4))
  }
})

test('the fields of a log lie within it, whatever its numbers announce', () => {
  const fields = wal.fields!(boastful())
  expect(fields.length).toBeGreaterThan(10)
  for (const { at, size } of fields) expect(at + size).toBeLessThanOrEqual(400)
})
