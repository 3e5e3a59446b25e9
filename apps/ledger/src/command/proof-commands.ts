import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { UsageError } from '@raftkit/app-kv'
import { type Proven, type Trust, type Verdict, verifyEvidence, verifyReceipt } from '@raftkit/bft'
import { fromHex } from '@raftkit/bytes'
import { verifyHere } from '@raftkit/ed25519'
import type { Command } from 'commander'
import { decodeCommand } from 'raftkit'
import { type Genesis, membersOf, whose } from '../genesis.ts'
import { type Opening, Unproven } from './command-line.ts'

/** What needs files alone, and no member, but for `collect`. */
export function proofCommands(program: Command, { desk, session }: Opening): void {
  program
    .command('verify <files...>')
    .description(
      'Verify receipts offline, by the genesis file, and what is kept of how members were exchanged. Ends with 3 if one proves nothing.',
    )
    .action((files: string[], _options, command: Command) => {
      const { genesis, trust, print, say } = desk(command)
      let unproven = 0
      for (const file of files) {
        try {
          const proven = verifyReceipt(fileAt(file), trust, verifyHere)
          print({ file, verified: true, ...summary(proven, genesis) }, () => words(file, proven, genesis))
        } catch (error) {
          if (error instanceof UsageError) throw error
          unproven++
          print(
            { file, verified: false, reason: (error as Error).message },
            () => `${file}: ${(error as Error).message}`,
          )
        }
      }
      say(`${files.length - unproven} of ${files.length} verified`)
      if (unproven > 0) throw new Unproven(`${unproven} of ${files.length} receipts prove nothing`)
    })

  const evidence = program.command('evidence').description('Proof that a member lied.')
  evidence
    .command('verify <files...>')
    .description(
      'Verify evidence offline, by the genesis file, and what is kept of how members were exchanged. Ends with 3 if one proves nothing.',
    )
    .action((files: string[], _options, command: Command) => {
      const { genesis, trust, print, say } = desk(command)
      let unproven = 0
      for (const file of files) {
        const verdict = verdictOn(fileAt(file), trust)
        if (verdict === undefined) unproven++
        print({ file, verified: verdict !== undefined, ...verdict }, () =>
          verdict
            ? `${file}: ${whose(genesis, verdict.who)} lied (${verdict.lie}): ${verdict.what}`
            : `${file}: proves nothing`,
        )
      }
      say(`${files.length - unproven} of ${files.length} verified`)
      if (unproven > 0) throw new Unproven(`${unproven} of ${files.length} prove nothing`)
    })
  evidence
    .command('collect <directory>')
    .description('Get what the members can prove, and keep it in files. It is not believed: verify it.')
    .action(async (directory: string, _options, command: Command) => {
      const at = session(command)
      mkdirSync(directory, { recursive: true })
      await at.client.follow()
      for (const member of membersOf(at.genesis, at.client.epochs.at(-1)!)) {
        const signal = AbortSignal.timeout(at.timeout)
        const pieces = await at.wire.get(member, '/v1/evidence', signal).catch((error: Error) => at.say(error.message))
        for (const { name, bytes } of (pieces ?? []) as { name: string; bytes: string }[]) {
          const file = join(directory, `${member.id}-${basename(name)}`)
          writeFileSync(file, fromHex(bytes))
          at.print({ file }, () => file)
        }
      }
    })
}

/** Of whichever epoch it is: what was signed in one is bound to it. */
function verdictOn(bytes: Uint8Array, { digest, epochs }: Trust): Verdict | undefined {
  const cluster = epochs[0]!.genesis.hash
  for (const members of epochs) {
    const verdict = verifyEvidence(bytes, { digest, members, cluster, verify: verifyHere })
    if (verdict) return verdict
  }
  return undefined
}

function fileAt(path: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(path))
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function summary({ position, index, time, term, signers, hash, request }: Proven, genesis: Genesis): object {
  const operations = request.operations.map((operation) => decodeCommand(operation))
  return { position, index, time, term, hash, signers, author: whose(genesis, request.client), operations }
}

function words(file: string, proven: Proven, genesis: Genesis): string {
  const { position, time, signers, request } = proven
  const lines = request.operations.map((operation, at) => {
    const { name, input } = decodeCommand(operation)
    return `  ${position + at}  ${name} ${JSON.stringify(input)}`
  })
  const when = new Date(time).toISOString()
  return `${file}: ${whose(genesis, request.client)} at ${when}, committed by ${signers.join(', ')}\n${lines.join('\n')}`
}
