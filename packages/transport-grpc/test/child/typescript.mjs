// @ts-check
import { readFile } from 'node:fs/promises'
import ts from 'typescript'

const packages = new URL('../../../', import.meta.url)

/** @type {import('node:module').ResolveHook} */
export function resolve(specifier, context, next) {
  const own = /^@raftkit\/([^/]+)$/.exec(specifier)
  return next(own ? new URL(`${own[1]}/src/index.ts`, packages).href : specifier, context)
}

/** @type {import('node:module').LoadHook} */
export async function load(url, context, next) {
  if (!url.endsWith('.ts')) return next(url, context)
  const { outputText } = ts.transpileModule(await readFile(new URL(url), 'utf8'), {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true },
  })
  return { format: 'module', source: outputText, shortCircuit: true }
}
