import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isRaftkitError } from '@raftkit/contract'
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { type Authority, createAuthority, type Issued, type IssueOptions, issue } from './authority.ts'
import { writeFolder } from './folder.ts'
import { type Inspected, inspect, problem } from './inspect.ts'

interface Flags {
  readonly days?: number
  readonly force?: true
  readonly json?: true
}

interface Verdict {
  readonly trusted: string
  readonly wrong: string | undefined
}

const days = (text: string): number => {
  const number = Number(text)
  if (!(number > 0)) throw new InvalidArgumentError('a number above 0 is wanted')
  return number
}
const also = (host: string, hosts: readonly string[]): string[] => [...hosts, host]

/** Runs one command line (without `node` and the script) and resolves with the exit code. Never rejects. */
export async function run(
  args: readonly string[],
  say: (line: string) => void,
  complain: (line: string) => void,
): Promise<number> {
  let unverified = false
  const program = new Command('raftkit-certificates')
    .description('A development CA, and the certificates of the nodes and clients of one cluster.')
    .option('--json', 'one line of JSON instead of text')
    .showHelpAfterError('(--help says more)')
    .addHelpText(
      'after',
      `
DIR gets authority/, nodes/ID/ and clients/NAME/. Each node needs its own folder (ca.pem, cert.pem, key.pem), and no other file of DIR;
authority/key.pem stays with you. Keys are written for their owner alone. What exists is replaced only with --force.

Exit: 0 well, 1 the certificate does not verify, 2 refused, 3 a wrong argument or an unreadable file.`,
    )

  program
    .command('init <dir>')
    .description('make an authority')
    .requiredOption('--cluster <name>', 'the cluster whose nodes it names')
    .option('--days <number>', 'for how long (default: 3650)', days)
    .option('--force', 'replace the one that is there; its certificates will not be believed any more')
    .action(async (dir: string, flags: Flags & { cluster: string }) => {
      const authority = await createAuthority({ cluster: flags.cluster, ...lifetime(flags) })
      save(join(dir, 'authority'), authority, flags)
    })

  program
    .command('node <dir> <id>')
    .description('make the certificate of a node')
    .option('--host <name>', 'a name or address under which HTTPS reaches it; repeatable', also, [])
    .option('--days <number>', 'for how long (default: 365)', days)
    .option('--force', 'replace the one that is there')
    .action(async (dir: string, node: string, flags: Flags & { host: string[] }) => {
      await make(dir, join('nodes', node), { node, hosts: flags.host, ...lifetime(flags) }, flags)
    })

  program
    .command('client <dir> <name>')
    .description('make the certificate of a client')
    .option('--days <number>', 'for how long (default: 365)', days)
    .option('--force', 'replace the one that is there')
    .action(async (dir: string, client: string, flags: Flags) => {
      await make(dir, join('clients', client), { client, ...lifetime(flags) }, flags)
    })

  program
    .command('show <file>')
    .description('what a certificate says, and whether it verifies; FILE may be a folder with a cert.pem')
    .option('--ca <file>', 'whom to believe (default: the ca.pem beside it; an authority is its own)')
    .action((given: string, flags: { ca?: string }) => {
      const file = statSync(given).isDirectory() ? join(given, 'cert.pem') : given
      const cert = readFileSync(file, 'utf8')
      const { role } = inspect(cert)
      const beside = join(dirname(file), 'ca.pem')
      const trusted = flags.ca ?? (role === 'authority' ? file : beside)
      if (!existsSync(trusted)) throw new Error(`there is no ${trusted}: say with --ca whom to believe`)
      const wrong = problem(cert, readFileSync(trusted, 'utf8'))
      print(file, cert, { trusted, wrong })
      unverified = wrong !== undefined
    })

  async function make(dir: string, folder: string, options: IssueOptions, flags: Flags): Promise<void> {
    const [cert, key] = ['cert.pem', 'key.pem'].map((name) => join(dir, 'authority', name)) as [string, string]
    if (!existsSync(key))
      throw new Error(`there is no ${key}: make an authority first, with \`init ${dir} --cluster …\``)
    const authority = { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
    save(join(dir, folder), await issue(authority, options), flags)
  }

  function save(folder: string, what: Authority | Issued, { force }: Flags): void {
    writeFolder(folder, what, { force: force === true })
    print(join(folder, 'cert.pem'), what.cert)
  }

  function print(file: string, cert: string, verdict?: Verdict): void {
    const seen = inspect(cert)
    if (program.opts<Flags>().json) {
      const verified = verdict && { ca: verdict.trusted, verifies: verdict.wrong === undefined, problem: verdict.wrong }
      say(JSON.stringify({ file, ...seen, ...verified }))
      return
    }
    const rows = [
      ['file', file],
      ['role', seen.role],
      ['name', nameOf(seen)],
      ...(seen.hosts.length > 0 ? [['hosts', seen.hosts.join(' ')]] : []),
      ['valid', `${seen.from.toISOString()} to ${seen.until.toISOString()}`],
      ['fingerprint', seen.fingerprint],
      ...(verdict
        ? [['verifies', `${verdict.wrong === undefined ? 'yes' : `no, ${verdict.wrong}`} (${verdict.trusted})`]]
        : []),
    ] as [string, string][]
    for (const [word, value] of rows) say(`${word.padEnd(11)}  ${value}`)
  }

  for (const command of [program, ...program.commands])
    command.exitOverride().configureOutput({
      writeOut: (text) => say(text.trimEnd()),
      writeErr: (text) => complain(text.trimEnd()),
    })
  try {
    await program.parseAsync([...args], { from: 'user' })
    return unverified ? 1 : 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 3
    complain((error as Error).message)
    return isRaftkitError(error, 'REFUSED') ? 2 : 3
  }
}

const lifetime = ({ days }: Flags): { days?: number } => (days === undefined ? {} : { days })

const nameOf = ({ cluster, name }: Inspected): string =>
  cluster === undefined ? 'none of Raftkit' : name === undefined ? `raft://${cluster}` : `raft://${cluster}/${name}`
