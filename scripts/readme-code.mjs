// @ts-check
// The TypeScript in our READMEs is compiled, against the sources of the workspace. A block with an import begins
// a module; one without goes on with the module before it, as a reader does.
import { dirname, join } from 'node:path'
import ts from 'typescript'
import { root } from './workspace.mjs'

/** @typedef {{ path: string, text: string }} Page path: from the root */

/**
 * @param {string} markdown
 * @returns {string[]} the modules; every line stands at its place in the page, so that errors do too
 */
export function modules(markdown) {
  const lines = markdown.split('\n')
  /** @type {string[][]} */
  const found = []
  for (let at = 0; at < lines.length; at++) {
    if (!/^```(ts|typescript)\b/.test(lines[at] ?? '')) continue
    const begin = at + 1
    while (at + 1 < lines.length && !lines[at + 1]?.startsWith('```')) at++
    const block = lines.slice(begin, at + 1)
    if (found.length === 0 || block.some((line) => line.startsWith('import '))) found.push([])
    const module = /** @type {string[]} */ (found.at(-1))
    while (module.length < begin) module.push('')
    module.push(...block)
  }
  return found.map((module) => module.join('\n'))
}

/**
 * @param {readonly Page[]} pages
 * @returns {string[]} one line per error: page, line, what the compiler says
 */
export function errorsIn(pages) {
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(join(root, 'tsconfig.test.json'), ts.sys.readFile).config,
    ts.sys,
    root,
  )
  // The modules stand beside their page, in memory only: what a package depends on is found from there.
  const files = new Map(
    pages.flatMap(({ path, text }) =>
      modules(text).map((module, i) => [join(root, dirname(path), `readme-${i + 1}.ts`), { path, text: module }]),
    ),
  )
  const host = ts.createCompilerHost(options)
  const { fileExists, readFile } = host
  host.fileExists = (path) => files.has(path) || fileExists(path)
  host.readFile = (path) => files.get(path)?.text ?? readFile(path)

  const program = ts.createProgram(
    [...files.keys()],
    { ...options, moduleDetection: ts.ModuleDetectionKind.Force },
    host,
  )
  return [...files].flatMap(([name, { path }]) => {
    const source = program.getSourceFile(name)
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map((error) => {
      const { line } = ts.getLineAndCharacterOfPosition(/** @type {ts.SourceFile} */ (error.file), error.start ?? 0)
      return `${path}:${line + 1}: ${ts.flattenDiagnosticMessageText(error.messageText, '\n')}`
    })
  })
}
