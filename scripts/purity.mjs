// @ts-check
// What a pure source may not touch. The compiler settings of the pure packages (no platform types) already refuse most of it;
// this also refuses what the language itself brings along: the clock, randomness, promises, the collector, the locale.
import ts from 'typescript'

const kinds = {
  'the clock': ['Date', 'Temporal', 'performance'],
  randomness: ['crypto'],
  timers: ['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate'],
  'the event loop': ['queueMicrotask', 'Atomics', 'SharedArrayBuffer'],
  'the platform': ['process', 'globalThis', 'global', 'require', 'Buffer', 'console', 'fetch'],
  'the locale': ['Intl'],
  'the garbage collector': ['WeakRef', 'FinalizationRegistry'],
  'code made from text': ['eval', 'Function'],
}
const promises = ['Promise', 'PromiseLike', 'AsyncIterable', 'AsyncIterator', 'AsyncGenerator']
const localeMethods = /^(toLocale\w+|localeCompare)$/

const forbidden = new Map(Object.entries(kinds).flatMap(([kind, names]) => names.map((name) => [name, kind])))

/**
 * @param {ts.SourceFile} source
 * @param {{ mayNamePromises: boolean }} options the contract describes asynchronous ports, in types
 * @returns {{ node: ts.Node, what: string }[]}
 */
export function impurities(source, { mayNamePromises }) {
  /** @type {{ node: ts.Node, what: string }[]} */
  const found = []
  /** @param {ts.Node} node @param {string} kind */
  const flag = (node, kind) => found.push({ node, what: `${node.getText(source)} is impure: ${kind}` })

  /** @param {ts.Node} node */
  const visit = (node) => {
    if (ts.isIdentifier(node)) identifier(node)
    else if (node.kind === ts.SyntaxKind.AsyncKeyword || node.kind === ts.SyntaxKind.AwaitKeyword)
      flag(node, 'promises')
    else if (ts.isAwaitExpression(node)) found.push({ node, what: 'await is impure: promises' })
    else if (node.kind === ts.SyntaxKind.DeclareKeyword) flag(node, 'the platform')
    else if (ts.isMetaProperty(node) && node.keywordToken === ts.SyntaxKind.ImportKeyword) flag(node, 'the platform')
    else if (node.kind === ts.SyntaxKind.ImportKeyword && ts.isCallExpression(node.parent)) flag(node, 'promises')
    ts.forEachChild(node, visit)
  }

  /** @param {ts.Identifier} node */
  const identifier = (node) => {
    if (isMemberName(node)) {
      if (localeMethods.test(node.text)) flag(node, 'the locale')
      return
    }
    const kind = forbidden.get(node.text)
    if (kind) flag(node, kind)
    else if (promises.includes(node.text) && !(mayNamePromises && ts.isTypeNode(node.parent))) flag(node, 'promises')
    else if (node.text === 'Math' && !isPlainMath(node.parent)) flag(node.parent, 'randomness')
  }

  visit(source)
  return found
}

/** Math.max and the like; not Math.random, and no way around the name. @param {ts.Node} node */
function isPlainMath(node) {
  return ts.isPropertyAccessExpression(node) && node.name.text !== 'random'
}

/** `b` in a.b, { b: 1 }, class { b() {} }, const { b: c } = a; it names no variable. @param {ts.Identifier} node */
function isMemberName(node) {
  const { parent } = node
  return (
    (ts.isPropertyAccessExpression(parent) && parent.name === node) ||
    (ts.isQualifiedName(parent) && parent.right === node) ||
    (ts.isBindingElement(parent) && parent.propertyName === node) ||
    ((ts.isPropertyAssignment(parent) || ts.isClassElement(parent) || ts.isTypeElement(parent)) && parent.name === node)
  )
}
