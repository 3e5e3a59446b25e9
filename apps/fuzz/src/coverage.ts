import { readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'acorn'
import { convert } from 'ast-v8-to-istanbul'

const root = fileURLToPath(new URL('../../../', import.meta.url))

export interface FileCoverage {
  readonly file: string
  readonly branches: number
  readonly covered: number
  /** Lines of branches that nothing reached. */
  readonly missed: readonly number[]
}

interface Script {
  readonly url: string
  readonly functions: never
}

interface Span {
  readonly start: { readonly line: number }
  readonly end: { readonly line: number }
}

interface IstanbulFile {
  readonly fnMap: Readonly<Record<string, { readonly name: string; readonly loc: Span }>>
  readonly branchMap: Readonly<
    Record<
      string,
      {
        readonly loc: { readonly start: { readonly line: number } }
        readonly locations: readonly { readonly start: { readonly line?: number } }[]
      }
    >
  >
  readonly b: Readonly<Record<string, readonly number[]>>
}

/**
 * Branches of these sources that were reached, in any of the workers: every arm of `if`, `?:`, `switch`, `&&`, `||`, `??` and defaults.
 * V8 counts the blocks of what ran, and the source map and syntax tree of it tell which branch of the source each one is.
 */
export async function branchesOf(
  taken: readonly unknown[],
  parsers: ReadonlyMap<string, RegExp>,
): Promise<FileCoverage[]> {
  const files = new Map<string, { map: IstanbulFile['branchMap']; hits: Map<string, number[]> }>()
  for (const scripts of taken as readonly Script[][])
    for (const { url, functions } of scripts) {
      const path = fileURLToPath(url)
      const code = readFileSync(path, 'utf8')
      let sourceMap: never
      try {
        sourceMap = JSON.parse(readFileSync(`${path}.map`, 'utf8')) as never
      } catch {
        continue
      }
      const found = (await convert({
        code,
        sourceMap,
        ast: parse(code, { ecmaVersion: 'latest', sourceType: 'module', locations: true }) as never,
        coverage: { url, functions },
      })) as unknown as Record<string, IstanbulFile>
      for (const [name, { branchMap, b, fnMap }] of Object.entries(found)) {
        const file = relative(root, name)
        const wanted = parsers.get(file)
        if (!wanted) continue
        const spans = Object.values(fnMap).filter(({ name }) => wanted.test(name))
        const parses = (line: number): boolean =>
          wanted.source === '.' || spans.some(({ loc }) => loc.start.line <= line && line <= loc.end.line)
        const known = files.get(file) ?? { map: branchMap, hits: new Map() }
        files.set(file, known)
        for (const [id, counts] of Object.entries(b)) {
          if (!parses(branchMap[id]?.loc.start.line ?? 0)) continue
          const hits = known.hits.get(id) ?? counts.map(() => 0)
          known.hits.set(
            id,
            hits.map((hit: number, i: number) => hit + (counts[i] ?? 0)),
          )
        }
      }
    }
  return [...files]
    .map(([file, { map, hits }]) => {
      const missed: number[] = []
      let branches = 0
      for (const [id, counts] of hits)
        for (const [arm, count] of counts.entries()) {
          branches++
          if (count === 0) missed.push(map[id]?.locations[arm]?.start.line ?? map[id]?.loc.start.line ?? 0)
        }
      return { file, branches, covered: branches - missed.length, missed: [...new Set(missed)].sort((a, b) => a - b) }
    })
    .sort((one, other) => (one.file < other.file ? -1 : 1))
}
