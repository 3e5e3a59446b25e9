import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { page, plantedFor, rowsOf } from '../checklist.mjs'

const text = readFileSync(page, 'utf8')
const rows = rowsOf(text)

/** Our list of hazards: how many of each kind there are. */
const hazards = { E: 16, R: 19, Q: 14, M: 16, S: 10, D: 14, T: 7, N: 9 }

/** What a row names: a file, and a part of a title in it. */
const named = rows.flatMap(({ id, held }) =>
  [...held.matchAll(/\[[^\]]+\]\(([^)]+)\)((?: “[^”]+”)+)/g)].flatMap(([, file, titles]) =>
    [...titles!.matchAll(/“([^”]+)”/g)].map(([, title]) => ({ id, file: file!, title: title! })),
  ),
)

/** What a test may be called by: a text in quotes, not a comment; one that is skipped holds nothing. */
function literals(file: string): string[] {
  const source = readFileSync(file, 'utf8').replaceAll("\\'", '’')
  const found = source.matchAll(/(\.(?:skip|todo)\(\s*)?(['"`])((?:(?!\2)[^\n])+)\2/g)
  return [...found].flatMap(([, skipped, , title]) => (skipped ? [] : [title!]))
}

describe('the checklist of hazards', () => {
  it('has every row once, and each names a test or says that it is open', () => {
    const expected = Object.entries(hazards).flatMap(([kind, count]) =>
      Array.from({ length: count }, (_, n) => `${kind}${n + 1}`),
    )
    expect(rows.map(({ id }) => id)).toEqual(expected)
    for (const { id, held } of rows) {
      expect(named.some((each) => each.id === id) || held.startsWith('Open: '), id).toBe(true)
    }
  })

  it('names no test that does not exist', () => {
    for (const { id, file, title } of named) {
      const path = resolve(page, '..', file)
      expect(existsSync(path), `${id}: ${file}`).toBe(true)
      expect(
        literals(path).some((literal) => literal.includes(title)),
        `${id}: ${file}: ${title}`,
      ).toBe(true)
    }
    expect(named.length).toBeGreaterThan(200)
  })

  it('lists again, at its end, what it leaves open', () => {
    const open = rows.filter(({ held }) => held.includes('Open: ')).map(({ id }) => id)
    const listed = [...text.matchAll(/^- \*\*([A-Z]\d+)\*\*/gm)].map(([, id]) => id)
    expect(listed).toEqual(open)
  })

  it('names no planted bug that the catalogue has not', () => {
    for (const { id, planted } of rows) {
      for (const [, name] of planted.matchAll(/`([^`]+)`/g)) expect(plantedFor(id), `${id}: ${name}`).toContain(name)
    }
  })
})
