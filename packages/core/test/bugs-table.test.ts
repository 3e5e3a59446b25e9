import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'

const page = new URL('../../../docs/internals/known-bugs.md', import.meta.url)
const text = readFileSync(page, 'utf8')
const rows = text.split('\n').filter((line) => line.startsWith('| ') && line.includes(']('))

/** What the page names: a file, and the beginning, the middle or all of a title in it. */
const named = rows.flatMap((row) =>
  [...row.matchAll(/\[[^\]]+\]\(([^)]+)\)((?: “[^”]+”)+)/g)].flatMap(([, file, names]) =>
    [...names!.matchAll(/“([^”]+)”/g)].map(([, name]) => ({
      id: /^\| (B\d+) /.exec(row)?.[1],
      file: file!,
      name: name!,
    })),
  ),
)

/** Titles of tests and of their groups; one that is skipped holds nothing. */
function titles(file: URL): string[] {
  const source = readFileSync(file, 'utf8')
  const found = source.matchAll(/(?<!\.(?:skip|todo))\(\s*(['"`])((?:(?!\1).)+)\1,\s*(?:async\s*)?\(/g)
  return [...found].map(([, , title]) => title!)
}

describe('the table of known bugs', () => {
  test('has a row for each of B1 to B64, and each row names a test', () => {
    for (let n = 1; n <= 64; n++) expect(named.filter(({ id }) => id === `B${n}`).length, `B${n}`).toBeGreaterThan(0)
  })

  test('names no test that does not exist', () => {
    for (const { file, name } of named) {
      const url = new URL(file, page)
      expect(existsSync(url), file).toBe(true)
      const isThere = titles(url).some((title) => title.includes(name))
      expect(isThere, `${file}: ${name}`).toBe(true)
    }
  })

  test('leaves out no test of a bug in this folder', () => {
    const folder = new URL('.', import.meta.url)
    let count = 0
    for (const file of readdirSync(folder).filter((each) => /^bugs-.*\.test\.ts$/.test(each))) {
      const mine = named.filter((each) => each.file.endsWith(`/core/test/${file}`))
      for (const title of titles(new URL(file, folder)).filter((each) => /^(B\d+|JS): /.test(each))) {
        expect(
          mine.some(({ name }) => title.includes(name)),
          `${file}: ${title}`,
        ).toBe(true)
        count++
      }
    }
    expect(count).toBeGreaterThan(100)
  })
})
