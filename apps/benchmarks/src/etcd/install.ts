import { execFileSync, spawnSync } from 'node:child_process'
import { isInstalled } from '../harness/machine.ts'

const packageName = 'etcd-server'

/** The version of etcd here. Installs Debian's package first if there is none and this process may. Throws an error for the user. */
export function etcdVersion(say: (line: string) => void): string {
  if (!isInstalled('etcd')) {
    if (process.getuid?.() !== 0 || !isInstalled('apt-get'))
      throw new Error(`--peer etcd needs the program etcd: install it, on Debian by \`apt-get install ${packageName}\``)
    say(`installing ${packageName} by apt-get`)
    // Its service is not wanted, only the program.
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
    const install = () =>
      spawnSync('apt-get', ['install', '-y', '-q', '--no-install-recommends', packageName], { env, encoding: 'utf8' })
    let done = install()
    if (done.status !== 0) {
      spawnSync('apt-get', ['update', '-q'], { env })
      done = install()
    }
    if (done.status !== 0 || !isInstalled('etcd'))
      throw new Error(`--peer etcd: apt-get install ${packageName} failed: ${(done.stderr ?? '').trim().slice(-500)}`)
  }
  return /etcd Version: (\S+)/.exec(execFileSync('etcd', ['--version'], { encoding: 'utf8' }))?.[1] ?? 'unknown'
}
