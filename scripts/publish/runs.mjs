// @ts-check
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { run } from '../run.mjs'

/** @typedef {{ version: string, execPath: string }} Node */
/** @typedef {{ node: string, program: string, milliseconds: number }} Run */

const deadlineMs = 60_000

/**
 * A Node of that major: this one, or one that npm fetches (and keeps in its cache).
 * @param {string} major @returns {Promise<Node>}
 */
export async function findNode(major) {
  const print = ['-p', 'JSON.stringify({ version: process.versions.node, execPath: process.execPath })']
  if (process.versions.node.startsWith(`${major}.`)) return JSON.parse(await run(process.execPath, print))
  return JSON.parse(await run('npx', ['--yes', '--loglevel=error', '-p', `node@${major}`, 'node', ...print]))
}

/** Three nodes in one process, on memory. @param {string} at @param {Node} node @returns {Promise<Run>} */
export async function runThreeNodes(at, node) {
  return timed(node, 'memory', async () => {
    const printed = await run(node.execPath, ['dist/three-nodes.js'], { cwd: at, timeout: deadlineMs })
    same('the results', numbers(printed), [1, 2, 3, 3, 3, 3])
  })
}

/** What the counters program stands on as it is printed, and what else it is run on: two imports and two calls differ. */
export const countersOn = {
  'level-grpc': {},
  'wal-tcp': { levelStorage: 'walStorage', 'storage-level': 'storage-wal', grpc: 'tcp' },
}

/**
 * The counters program, three processes: every node adds one; all are interrupted, started again,
 * and count on from where they were.
 * @param {string} at @param {Node} node @param {string} adapters @returns {Promise<Run>}
 */
export async function runCounters(at, node, adapters) {
  const cwd = join(at, `counters-${adapters}-${node.version}`)
  mkdirSync(cwd)
  const program = join(at, 'dist', `counters-${adapters}-${node.version}.js`)
  writeFileSync(program, await onFreePorts(readFileSync(join(at, `dist/counters-${adapters}.js`), 'utf8')))
  return timed(node, adapters, async () => {
    same('the first sums', await addOnEveryNode(node, program, cwd), [1, 2, 3])
    same('the sums after a restart', await addOnEveryNode(node, program, cwd), [4, 5, 6])
  })
}

/**
 * Starts all three, waits until each has printed its sum and what it read, interrupts them.
 * @param {Node} node @param {string} program @param {string} cwd @returns {Promise<number[]>} the sums, in order
 */
async function addOnEveryNode(node, program, cwd) {
  const members = ['n1', 'n2', 'n3'].map((id) => startMember(node, program, id, cwd))
  try {
    const printed = await Promise.all(members.map((member) => Promise.race([member.printed, member.ended])))
    await setTimeout(100) // the program listens for SIGINT only after it printed
    for (const { child } of members) child.kill('SIGINT')
    await Promise.all(members.map(({ ended }) => ended))
    const sums = printed.map((output) => {
      const [sum = Number.NaN, read = Number.NaN] = numbers(output)
      if (!(read >= sum)) throw new Error(`a node added to get ${sum}, then read ${read}`)
      return sum
    })
    return sums.sort((a, b) => a - b)
  } finally {
    for (const { child } of members) child.kill('SIGKILL')
  }
}

/** @param {Node} node @param {string} program @param {string} id @param {string} cwd */
function startMember(node, program, id, cwd) {
  const child = spawn(node.execPath, [program, id], { cwd, timeout: deadlineMs, stdio: ['ignore', 'pipe', 'pipe'] })
  let printed = ''
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text) => {
    errors += text
  })
  return {
    child,
    printed: /** @type {Promise<string>} */ (
      new Promise((resolve) => {
        child.stdout.setEncoding('utf8').on('data', (text) => {
          printed += text
          if (/^.+\n.+\n$/.test(printed)) resolve(printed)
        })
      })
    ),
    ended: once(child, 'close').then(([code, signal]) => {
      if (code !== 0) throw new Error(`${id} ended with ${signal ?? code}\n${printed}${errors}`)
      return printed
    }),
  }
}

/** The program names fixed ports, for people; here something else may listen there. @param {string} code */
async function onFreePorts(code) {
  const servers = await Promise.all(
    [1, 2, 3].map(async () => {
      const server = createServer().listen(0, '127.0.0.1')
      await once(server, 'listening')
      return server
    }),
  )
  const ports = servers.map((server) => /** @type {import('node:net').AddressInfo} */ (server.address()).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return code.replace(/127\.0\.0\.1:700([123])/g, (_, n) => `127.0.0.1:${ports[n - 1]}`)
}

/** @param {string} printed */
function numbers(printed) {
  return printed.trim().split('\n').map(Number)
}

/** @param {string} what @param {readonly number[]} got @param {readonly number[]} wanted */
function same(what, got, wanted) {
  if (got.join() !== wanted.join()) throw new Error(`${what} were ${got.join(' ')}, not ${wanted.join(' ')}`)
}

/** @param {Node} node @param {string} program @param {() => Promise<void>} body @returns {Promise<Run>} */
async function timed(node, program, body) {
  const start = performance.now()
  await body()
  return { node: node.version, program, milliseconds: Math.round(performance.now() - start) }
}
