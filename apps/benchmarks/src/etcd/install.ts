import { execFileSync, spawnSync } from 'node:child_process'
import { isInstalled } from '../harness/machine.ts'

type Say = (line: string) => void

/** The version of etcd here. Installs Debian's package first if there is none and this process may. Throws an error for the user. */
export function etcdVersion(say: Say): string {
  const failure = provide('etcd', 'etcd-server', say)
  if (failure !== undefined) throw new Error(`--peer etcd needs the program etcd, and ${failure}`)
  return /etcd Version: (\S+)/.exec(execFileSync('etcd', ['--version'], { encoding: 'utf8' }))?.[1] ?? 'unknown'
}

/** Sees to it that a program is there, by Debian's package if it must and may. Says why not. */
export function provide(program: string, name: string, say: Say): string | undefined {
  if (isInstalled(program)) return undefined
  if (process.getuid?.() !== 0 || !isInstalled('apt-get'))
    return `it is not installed; on Debian: \`apt-get install ${name}\``
  say(`installing ${name} by apt-get`)
  // Its service is not wanted, only the program.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  const apt = (...args: string[]) => spawnSync('apt-get', [...args, '-q'], { env, encoding: 'utf8', timeout: 180_000 })
  const install = () => apt('install', '-y', '--no-install-recommends', name)
  let done = install()
  if (done.status !== 0) {
    apt('update')
    done = install()
  }
  if (done.status === 0 && isInstalled(program)) return undefined
  return `\`apt-get install ${name}\` failed: ${`${done.stderr ?? ''}`.trim().slice(-300)}`
}
