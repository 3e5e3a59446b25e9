import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { errorsIn, modules } from '../readme-code.mjs'
import { readWorkspace, root } from '../workspace.mjs'

const compiles = { timeout: 120_000 }

describe('the code in READMEs and in the documentation', () => {
  it('compiles', compiles, () => {
    const documentation = readdirSync(`${root}docs`, { recursive: true, encoding: 'utf8' })
    const paths = [
      'README.md',
      ...readWorkspace().map(({ parent, folder }) => `${parent}/${folder}/README.md`),
      ...documentation.filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`),
    ]
    const pages = paths
      .filter((path) => existsSync(root + path))
      .map((path) => ({ path, text: readFileSync(root + path, 'utf8') }))
    expect(errorsIn(pages)).toEqual([])
  })

  it('is found wrong, at its line', compiles, () => {
    const text = ['# Title', '```ts', `import { it } from 'node:test'`, 'const port: number = `7001`', '```'].join('\n')
    expect(errorsIn([{ path: 'README.md', text }])).toEqual([
      `README.md:4: Type 'string' is not assignable to type 'number'.`,
    ])
  })

  it('goes on from block to block until the next import', () => {
    const text = ['```ts', 'a', '```', '```sh', 'npm', '```', '```ts', 'b', '```', '```ts', 'import c', '```'].join(
      '\n',
    )
    expect(modules(text)).toEqual(['\na\n\n\n\n\n\nb', '\n\n\n\n\n\n\n\n\n\nimport c'])
  })
})
