import { type ChildProcess, spawn } from 'node:child_process'
import { pathToFileURL } from 'node:url'
import type { NodeId, Peer } from '@raftkit/contract'

/**
 * Plain JavaScript for `node --eval`: neither a bundler nor a test runner shall stand around it. It tells its parent where it is, and
 * answers each frame with its process id and the frame.
 */
const source = `
const [program, id, peer] = process.argv.slice(1)
const { create } = await import(program)
const transport = create()
await transport.start({ id, address: '127.0.0.1:0' }, {
  hello: () => new TextEncoder().encode('c/' + id),
  admit: (hello) => new TextDecoder().decode(hello).slice(2),
  frame: (from, frame) => transport.send(from, [new TextEncoder().encode(process.pid + ' '), frame], 'bulk'),
  link: () => {},
})
process.send(transport.address)
transport.setPeers([JSON.parse(peer)])
`

/** A node in a process of its own, which dials `peer`. `program`: a module that makes its transport by `create`. */
export function startNode(
  program: string,
  id: NodeId,
  peer: Peer,
  environment: Readonly<Record<string, string>> = {},
): ChildProcess {
  return spawn(
    process.execPath,
    ['--input-type=module', '--eval', source, '--', pathToFileURL(program).href, id, JSON.stringify(peer)],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], env: { ...process.env, ...environment } },
  )
}
