import { Command, InvalidArgumentError } from 'commander'
import { isLoopback } from '../server/address.ts'
import { CallFailed, Client } from './client.ts'
import { clusterCommands } from './cluster-commands.ts'
import { type CredentialFlags, credentials } from './credentials.ts'
import { Dialer } from './exchange.ts'
import { exitCodes, UsageError } from './exit.ts'
import { keyCommands } from './key-commands.ts'
import { runCommand, type Surroundings } from './program.ts'
import { serveCommand } from './serve-command.ts'
import { tokenCommand } from './token-command.ts'

interface Globals extends CredentialFlags {
  endpoints: string
  timeout?: number
  json?: true
}

/** What every command works with. */
export interface Session extends Surroundings {
  readonly client: Client
  readonly json: boolean
  /** One line of data, or one of JSON, as the person chose. */
  print(value: unknown, line: () => string): void
  say(line: string): void
}

/** `timeout`: of this command, if the person gives none. Milliseconds. */
export type Open = (command: Command, timeout?: number) => Session

const defaultEndpoints = [1, 2, 3].map((n) => `http://127.0.0.1:${8000 + n}`).join(',')

/** Runs one command line (without `node` and the script) to its end and resolves with the exit code. Never rejects. */
export async function run(args: readonly string[], around: Surroundings): Promise<number> {
  const say = (line: string) => void around.stderr.write(`${line}\n`)
  let dialer: Dialer | undefined
  const open: Open = (command, patience = 10_000) => {
    const { endpoints, timeout = patience, json, ...flags } = command.optsWithGlobals<Globals>()
    const shown = credentials(flags, around.env)
    const urls = endpointsOf(endpoints)
    if (shown.token !== undefined && urls.some(isOpen)) say('the token crosses the network in the clear: use https://')
    dialer = new Dialer(shown)
    return {
      ...around,
      client: new Client({ endpoints: urls, timeout, dialer }),
      json: json === true,
      print: (value, line) => void around.stdout.write(`${json ? JSON.stringify(value) : line()}\n`),
      say,
    }
  }
  const program = new Command('raftkit-kv')
    .description('A replicated key-value store: its server, and its client.')
    .option(
      '--endpoints <urls>',
      'members to talk to, separated by commas',
      around.env.RAFTKIT_KV_ENDPOINTS ?? defaultEndpoints,
    )
    .option(
      '--timeout <milliseconds>',
      'for the whole command, or on the server for one request (default: 10000)',
      positive,
    )
    .option('--token <file>', 'a file with the token to show (default: what RAFTKIT_TOKEN holds)')
    .option('--ca <file>', 'who signed the certificates of the servers, if the platform does not know them')
    .option('--cert <file>', 'the certificate to show')
    .option('--key <file>', 'its key')
    .option('--json', 'one line of JSON instead of text')
    .showHelpAfterError('(--help says more)')
    .addHelpText(
      'after',
      `\nExit codes: ${Object.entries(exitCodes)
        .map(([name, code]) => `${code} ${name}`)
        .join(', ')}`,
    )
  serveCommand(program, around)
  keyCommands(program, open)
  clusterCommands(program, open)
  tokenCommand(program, around)
  try {
    return await runCommand(program, args, around, (error) => exitCodeOf(error, say))
  } finally {
    dialer?.hangUp()
  }
}

function exitCodeOf(error: unknown, say: (line: string) => void): number {
  if (error instanceof Unmet) {
    say(error.message)
    return error.exitCode
  }
  if (error instanceof UsageError) {
    say(error.message)
    return exitCodes.usage
  }
  if (error instanceof CallFailed) {
    say(`${error.code}: ${error.message}`)
    if (error.status === 409 || error.status === 412) return exitCodes.precondition
    if (error.status === 404 && error.code !== 'NO_SUCH_ROUTE') return exitCodes.notFound
    if (error.status === 400 || error.status === 413) return exitCodes.usage
    if (error.status >= 400 && error.status < 500) return exitCodes.failure
    if (error.outcome === 'refused') return exitCodes.unhealthy
    say('its outcome is unknown: it may or may not have happened')
    return exitCodes.unknown
  }
  say(error instanceof Error ? error.message : String(error))
  return exitCodes.failure
}

/** The command was carried out, and what it found is no success. */
export class Unmet extends Error {
  readonly exitCode: number

  constructor(message: string, exitCode: number) {
    super(message)
    this.exitCode = exitCode
  }
}

export function positive(text: string): number {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 1) throw new InvalidArgumentError('a whole number above 0 is wanted')
  return number
}

function endpointsOf(text: string): string[] {
  return text.split(',').map((part) => {
    const trimmed = part.trim()
    const url = URL.canParse(trimmed) ? new URL(trimmed) : undefined
    if ((url?.protocol !== 'http:' && url?.protocol !== 'https:') || url.host === '')
      throw new UsageError(`--endpoints: ${JSON.stringify(trimmed)} is not like http://127.0.0.1:8001`)
    return url.origin
  })
}

/** What is sent there can be read on the way. */
function isOpen(endpoint: string): boolean {
  const { protocol, hostname } = new URL(endpoint)
  return protocol === 'http:' && !isLoopback(hostname.replace(/^\[|\]$/g, ''))
}
