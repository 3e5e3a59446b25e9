import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'

const file = fileURLToPath(new URL('./machine-types.test.ts', import.meta.url))
const root = fileURLToPath(new URL('../../..', import.meta.url))

/** The compiler's complaints about machine-types.test.ts, if it read as `source` says. */
function complaints(source: string): string[] {
  const config = ts.getParsedCommandLineOfConfigFile(`${root}/tsconfig.test.json`, undefined, {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: (diagnostic) => {
      throw new Error(ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n'))
    },
  })!
  const host = ts.createCompilerHost(config.options)
  const { getSourceFile } = host
  host.getSourceFile = (name, ...rest) =>
    name === file ? ts.createSourceFile(name, source, ts.ScriptTarget.ES2022) : getSourceFile(name, ...rest)
  const program = ts.createProgram([file], config.options, host)
  return program
    .getSemanticDiagnostics(program.getSourceFile(file))
    .map((diagnostic) => ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n'))
}

describe('the compiler', () => {
  const source = readFileSync(file, 'utf8')

  it('accepts the types of the front door as the tests state them', () => {
    expect(complaints(source)).toEqual([])
  }, 60_000)

  it('refuses every line marked so, and names what must be synchronous', () => {
    const marks = source.split('// @ts-expect-error').length - 1
    const found = complaints(source.replaceAll('// @ts-expect-error', '//'))
    expect(found.length).toBeGreaterThanOrEqual(marks)
    for (const name of ['later', 'perhaps'])
      expect(found.some((text) => text.includes(`MustBeSynchronous<"${name}">`))).toBe(true)
  }, 60_000)
})
