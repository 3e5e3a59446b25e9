import { join } from 'node:path'
import { exitCodes, positive, runCommand, type Surroundings, UsageError } from '@raftkit/app-kv'
import type { Trust } from '@raftkit/bft'
import { type BftClient, bftClient, type Report } from '@raftkit/bft-client'
import { isRaftkitError } from '@raftkit/contract'
import { ed25519 } from '@raftkit/ed25519'
import { Command } from 'commander'
import { epochsBeside, keepEpochs, knownEpochs } from '../epochs-file.ts'
import { type Genesis, readGenesis } from '../genesis.ts'
import { HttpsWire, readIdentity } from '../wire.ts'
import { keysCommand } from './keys-command.ts'
import { membersCommands } from './members-commands.ts'
import { proofCommands } from './proof-commands.ts'
import { readingCommands } from './reading-commands.ts'
import { serveCommand } from './serve-command.ts'
import { statusCommand } from './status-command.ts'
import { writingCommands } from './writing-commands.ts'

interface Globals {
  genesis: string
  epochs?: string
  identity?: string
  timeout: number
  json?: true
}

/** What a command works with that needs no member. */
export interface Desk extends Surroundings {
  readonly genesis: Genesis
  /** The founders, and who came after them as far as it was learned before. */
  readonly trust: Trust
  readonly json: boolean
  /** One line of JSON, or text, as the person chose. */
  print(value: unknown, text: () => string): void
  say(line: string): void
}

/** What a command works with that asks members. */
export interface Session extends Desk {
  readonly client: BftClient
  readonly wire: HttpsWire
  readonly timeout: number
}

export interface Opening {
  /** Files alone. */
  desk(command: Command): Desk
  /** With an identity, to ask members. */
  session(command: Command): Session
}

/** The command was carried out, and what it found is no success. */
export class Unproven extends Error {}

/** Runs one command line (without `node` and the script) to its end and resolves with the exit code. Never rejects. */
export async function run(args: readonly string[], around: Surroundings): Promise<number> {
  const say = (line: string) => void around.stderr.write(`${line}\n`)
  let wire: HttpsWire | undefined
  const desk = (command: Command): Desk => {
    const { genesis: file, epochs = epochsBeside(file), json } = command.optsWithGlobals<Globals>()
    const genesis = readGenesis(file)
    const print = (value: unknown, text: () => string) =>
      void around.stdout.write(`${json ? JSON.stringify(value) : text()}\n`)
    return { ...around, genesis, trust: knownEpochs(genesis, epochs), json: json === true, print, say }
  }
  const session = (command: Command): Session => {
    const { genesis: file, epochs = epochsBeside(file), identity, timeout } = command.optsWithGlobals<Globals>()
    const at = desk(command)
    if (identity === undefined)
      throw new UsageError('say who asks: --identity DIR, with certificate and keys, or RAFTKIT_LEDGER_IDENTITY')
    const { tls, key } = readIdentity(identity)
    wire = new HttpsWire(at.genesis, tls)
    const report = (one: Report) => say(wordsOf(one))
    const learned = (proof: Uint8Array) => {
      try {
        keepEpochs(epochs, proof)
        say(`the members changed, and it is proved: ${epochs}`)
      } catch (error) {
        say(`the members changed, and it is proved; it could not be kept: ${(error as Error).message}`)
      }
    }
    const client = bftClient({ trust: at.trust, signatures: ed25519(key), wire, timeout, report, learned })
    return { ...at, client, wire, timeout }
  }

  const program = new Command('raftkit-ledger')
    .description('An append-only audit log that organisations share, none of which has to trust another.')
    .option(
      '--genesis <file>',
      'what all organisations share: members, keys, addresses',
      around.env.RAFTKIT_LEDGER_GENESIS ?? './genesis.json',
    )
    .option(
      '--epochs <file>',
      'where it is kept how members were exchanged (default: epochs.raftkit beside the genesis)',
    )
    .option(
      '--identity <directory>',
      'who you are: ca.pem, cert.pem, key.pem, signing.pem',
      around.env.RAFTKIT_LEDGER_IDENTITY,
    )
    .option('--timeout <milliseconds>', 'for each call', positive, 10_000)
    .option('--json', 'one line of JSON instead of text')
    .showHelpAfterError('(--help says more)')
    .addHelpText(
      'after',
      '\nExit codes: 0 ok, 1 failure, 2 usage, 3 not proven, 5 nobody could do it: nothing happened, 6 unknown',
    )
  const opening = { desk, session }
  serveCommand(program, opening)
  writingCommands(program, opening)
  readingCommands(program, opening)
  statusCommand(program, opening)
  membersCommands(program, opening)
  proofCommands(program, opening)
  keysCommand(program, around)
  try {
    return await runCommand(program, args, around, (error) => exitCodeOf(error, say))
  } finally {
    wire?.hangUp()
  }
}

function exitCodeOf(error: unknown, say: (line: string) => void): number {
  say(error instanceof Error ? error.message : String(error))
  if (error instanceof UsageError || isRaftkitError(error, 'INVALID_OPTION')) return exitCodes.usage
  if (error instanceof Unproven) return exitCodes.precondition
  if (!isRaftkitError(error)) return exitCodes.failure
  if (error.outcome === 'unknown') {
    say('its outcome is unknown: it may or may not have happened')
    return exitCodes.unknown
  }
  return error.code === 'TIMEOUT' ? exitCodes.unhealthy : exitCodes.failure
}

function wordsOf(report: Report): string {
  switch (report.type) {
    case 'mismatch':
      return `${report.member} answered otherwise than f + 1 members did: do not believe it`
    case 'invalidReceipt':
      return `${report.member} gave a receipt that proves nothing: ${report.reason}`
    default:
      return `${report.member} is ${report.type}: ${report.reason}`
  }
}

const receiptName = (position: number): string => `receipt-${position}.raftkit`
export const inFolder = (folder: string, position: number): string => join(folder, receiptName(position))
