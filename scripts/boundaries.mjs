// @ts-check
// What may import what. `check-boundaries.mjs` applies it to the workspace; `purity.mjs` adds what pure sources may not touch.
import { builtinModules } from 'node:module'
import { posix } from 'node:path'
import ts from 'typescript'
import { impurities } from './purity.mjs'

/** @typedef {import('./workspace.mjs').Package} Package */

/**
 * The house, drawn downwards: a folder, and the folders it may import. `-*` names a family of adapters.
 * Apps stand on top of all of it.
 * @type {Record<string, readonly string[]>}
 */
const house = {
  contract: [],
  bytes: ['contract'],
  core: ['bytes', 'contract'],
  membership: ['contract'],
  bft: ['bytes', 'contract'],
  'bft-client': ['bft', 'bytes', 'contract'],
  raftkit: ['core', 'bytes', 'contract'],
  multi: ['raftkit', 'core', 'bytes', 'contract'],
  files: ['contract'],
  'storage-*': ['files', 'bytes', 'contract'],
  links: ['contract'],
  'transport-*': ['links', 'bytes', 'contract'],
  certificates: ['contract'],
  ed25519: ['contract'],
  byzantine: ['bft', 'contract'],
  compliance: ['contract'],
  simulator: [
    ...['linearizability', 'multi', 'raftkit', 'membership', 'byzantine', 'bft', 'core'],
    ...['storage-wal', 'files', 'bytes', 'contract'],
  ],
  modelcheck: ['raftkit', 'membership', 'bft', 'core', 'files', 'storage-wal', 'bytes', 'contract'],
  linearizability: [],
  testing: ['certificates', 'links', 'contract'],
}

/** What tests share: it is never published, and only tests import it. */
const forTests = new Set(['testing'])

/** Run anywhere: no dependency from outside the workspace, and no static import of a platform's module. */
const anywhere = new Set(['contract', 'bytes', 'core', 'membership', 'bft', 'bft-client', 'raftkit'])

/** Same inputs, same outputs, at once. */
const pure = new Set(['contract', 'bytes', 'core', 'membership', 'bft'])

/**
 * @param {readonly Package[]} workspace
 * @returns {string[]} one line per finding: the place, then what is wrong there
 */
export function findings(workspace) {
  const packages = new Map(workspace.map((p) => [p.manifest.name, p]))
  return workspace.flatMap((p) => [...manifestFindings(p, packages), ...sourceFindings(p, packages)])
}

/** @param {Package} p @param {Package} target */
function mayImport(p, target) {
  if (forTests.has(target.folder)) return false
  return p.parent === 'apps' || (storey(p.folder)?.includes(target.folder) ?? false)
}

/** @param {string} folder */
function storey(folder) {
  return house[folder] ?? house[folder.replace(/-.*/, '-*')]
}

/** @param {Package} p @param {Map<string, Package>} packages */
function manifestFindings(p, packages) {
  const { parent, folder, manifest } = p
  const manifestPath = `${parent}/${folder}/package.json`
  const tsconfigPath = `${parent}/${folder}/tsconfig.json`
  /** @type {string[]} */
  const found = []

  if (parent === 'packages') {
    const name = folder === 'raftkit' ? folder : `@raftkit/${folder}`
    if (manifest.name !== name) found.push(`${manifestPath}: packages/${folder} is named ${name}`)
    if (forTests.has(folder) && !manifest.private) found.push(`${manifestPath}: ${folder} is for tests, and so private`)
    if (!storey(folder)) found.push(`${manifestPath}: ${folder} has no place in the house of scripts/boundaries.mjs`)
  }

  const references = new Set(p.references.map((path) => posix.basename(path)))
  for (const [name, range] of Object.entries({ ...manifest.dependencies, ...manifest.peerDependencies })) {
    const target = packages.get(name)
    if (!target) {
      if (anywhere.has(folder)) found.push(`${manifestPath}: ${folder} has no foreign dependency, so not ${name}`)
      continue
    }
    // As a peer dependency, every minor of the contract would force a major on all adapters.
    if (manifest.peerDependencies?.[name]) found.push(`${manifestPath}: ${name} is a regular dependency, not a peer`)
    if (range !== 'workspace:^') found.push(`${manifestPath}: ${name} is wanted as workspace:^, not ${range}`)
    if (!mayImport(p, target)) found.push(`${manifestPath}: ${folder} may not depend on ${target.folder}`)
    if (!references.delete(target.folder)) found.push(`${tsconfigPath}: no reference to the dependency ${name}`)
  }
  for (const target of references) found.push(`${tsconfigPath}: references ${target}, which is no dependency`)

  if (parent === 'packages') {
    const imported = new Set(p.src.flatMap((file) => imports(parse(file)).map(({ text }) => packageName(text))))
    for (const name of Object.keys(manifest.dependencies ?? {}))
      if (!imported.has(name)) found.push(`${manifestPath}: no source imports the dependency ${name}`)
  }
  return found
}

/** @param {Package} p @param {Map<string, Package>} packages */
function sourceFindings(p, packages) {
  const { parent, folder, manifest } = p
  const dependencies = { ...manifest.dependencies, ...manifest.peerDependencies }

  /** @param {import('./workspace.mjs').File} file @param {string} specifier @param {boolean} isTest */
  const wrong = (file, specifier, isTest) => {
    if (specifier.startsWith('.')) {
      const target = posix.join(posix.dirname(file.path), specifier)
      if (target.startsWith('..')) return `${specifier} leaves the package: import others by name`
      if (!isTest && !target.startsWith('src/')) return `${specifier} leaves src, so it would not be published`
      return
    }
    if (specifier.startsWith('node:') || builtinModules.includes(specifier)) {
      if (!isTest && anywhere.has(folder)) return `${folder} runs anywhere: no static import of ${specifier}`
      return
    }
    const name = packageName(specifier)
    const target = packages.get(name)
    if (target && target !== p) {
      const entry = specifier.replace(name, '.')
      if (!(entry in (target.manifest.exports ?? {}))) return `${specifier} reaches into the files of ${name}`
      if (!isTest && !mayImport(p, target))
        return `${folder} may not import ${target.folder}: ${forTests.has(target.folder) ? 'only tests do' : 'imports point down'}`
    }
    if (isTest) return
    if (target === p) return `${folder} imports its own files by their relative path`
    if (!(name in dependencies)) return `${name} is not among the dependencies`
  }

  return [...p.src, ...p.test].flatMap((file) => {
    const source = parse(file)
    const isTest = p.test.includes(file)
    const misplaced = imports(source).flatMap((specifier) => {
      const what = wrong(file, specifier.text, isTest)
      return what ? [{ node: specifier, what }] : []
    })
    const impure = pure.has(folder) && !isTest ? impurities(source, { mayNamePromises: folder === 'contract' }) : []
    return [...misplaced, ...impure].map(({ node, what }) => {
      const { line, character } = source.getLineAndCharacterOfPosition(node.getStart(source))
      return `${parent}/${folder}/${file.path}:${line + 1}:${character + 1}: ${what}`
    })
  })
}

/** @param {import('./workspace.mjs').File} file */
function parse(file) {
  return ts.createSourceFile(file.path, file.text, ts.ScriptTarget.Latest, true)
}

/** @param {string} specifier */
function packageName(specifier) {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

/**
 * Every module that a file names: import, export from, import(), import types. A computed import() is left to purity.mjs.
 * @param {ts.SourceFile} source
 * @returns {ts.StringLiteralLike[]}
 */
function imports(source) {
  /** @type {ts.StringLiteralLike[]} */
  const found = []
  /** @param {ts.Node | undefined} node */
  const keep = (node) => {
    if (node && ts.isStringLiteralLike(node)) found.push(node)
  }
  /** @param {ts.Node} node */
  const visit = (node) => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) keep(node.moduleSpecifier)
    if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) keep(node.argument.literal)
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) keep(node.arguments[0])
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}
