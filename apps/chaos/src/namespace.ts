import { type ChildProcess, spawn, spawnSync } from 'node:child_process'

/** Linux namespaces: file systems that are mounted in there are seen by nobody else and end with it, and so do all of its processes. */
const unshare = [
  'unshare',
  ...['--map-root-user', '--mount', '--pid', '--fork', '--mount-proc', '--kill-child'],
] as const

/** Whether this process runs in namespaces that `inNamespace` made. */
export const isInside = (): boolean => process.env.RAFTKIT_CHAOS_INSIDE !== undefined

/**
 * Runs this program again in namespaces of its own; its end is ours. undefined where the system does not permit them: go on without.
 * Signals are told over a channel: the first process of a namespace is not reached by its terminal's in every case.
 */
export function inNamespace(): ChildProcess | undefined {
  if (process.platform !== 'linux' || isInside()) return
  const [command, ...options] = unshare
  if (spawnSync(command, [...options, 'true'], { stdio: 'ignore' }).status !== 0) return
  const child = spawn(command, [...options, process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, RAFTKIT_CHAOS_INSIDE: '1' },
    detached: true,
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => child.connected && child.send({ leave: signal }))
  child.on('close', (code) => process.exit(code ?? 1))
  return child
}
