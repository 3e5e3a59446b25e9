import { fromFileName, toFileName } from '@raftkit/files'
import { describe, expect, it } from 'vitest'

describe('a file name', () => {
  it('is the name itself where that is safe everywhere', () => {
    for (const name of ['main', 'group-1', 'a.b_c', '0', 'console']) expect(toFileName(name)).toBe(name)
  })

  it('differs for names that differ by case alone, on every file system', () => {
    const names: string[] = []
    for (let bits = 0; bits < 64; bits++)
      names.push([...'groups'].map((c, i) => (bits & (1 << i) ? c.toUpperCase() : c)).join(''))
    expect(new Set(names.map((name) => toFileName(name).toLowerCase())).size).toBe(64)
  })

  it('is neither a device nor trimmed on Windows', () => {
    for (const name of ['con', 'NUL', 'com1', 'lpt9.txt', 'aux.', 'a.', 'a..']) {
      const file = toFileName(name)
      expect(file).not.toMatch(/^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i)
      expect(file).not.toMatch(/[. ]$/)
    }
  })

  it('leads back to its name, and only to it', () => {
    const longest = 'Z'.repeat(128)
    const names = ['main', 'Main', 'mAIN', 'con', 'CON', 'a.', 'x~'.slice(0, 1), 'A.b-C_9', longest]
    for (const name of names) expect(fromFileName(toFileName(name))).toBe(name)
    expect(toFileName(longest).length).toBeLessThanOrEqual(163)
    for (const file of ['Main', 'con', 'a.', '~0~main~', '~1~Main~', '~1~main', '~9~a~', '.hidden', '', 'a/b'])
      expect(fromFileName(file), file).toBeUndefined()
  })

  it('is refused for what is no name', () => {
    for (const name of [
      '',
      '..',
      '../x',
      'a/b',
      'a\\b',
      '~1~a~',
      'a b',
      'a'.repeat(129),
      undefined as never,
      7 as never,
    ])
      expect(() => toFileName(name)).toThrowError(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })
})
