import { mkdirSync, writeFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { UsageError } from '@raftkit/app-kv'
import { mostOperations } from '@raftkit/bft'
import type { Command } from 'commander'
import { decodeResult, encodeCommand } from 'raftkit'
import type { Content, LedgerEntry } from '../machine.ts'
import { inFolder, type Opening, type Session } from './command-line.ts'

export function writingCommands(program: Command, { session }: Opening): void {
  program
    .command('append <content...>')
    .description('Append entries, up to 64 under one signature; "-" takes each line of standard input as one.')
    .option('--parse', 'each is JSON, not text')
    .option('--receipts <directory>', 'ask for the receipts, too, and keep them there')
    .action(async (given: string[], { parse, receipts }: { parse?: true; receipts?: string }, command: Command) => {
      const at = session(command)
      const lines = given.length === 1 && given[0] === '-' ? await linesOf(at) : given
      const contents = lines.map((line) => (parse ? json(line) : line))
      if (receipts !== undefined) mkdirSync(receipts, { recursive: true })
      for (let from = 0; from < contents.length; from += mostOperations) {
        const batch = contents.slice(from, from + mostOperations)
        const operations = batch.map((content) => encodeCommand('append', { content }))
        const { position, results, by } = await at.client.submit(operations)
        for (const result of results) {
          const entry = decodeResult(result) as LedgerEntry
          at.print({ ...entry, by }, () => `${entry.number}\t${entry.position}\t${entry.hash}`)
        }
        if (receipts !== undefined) await keepReceipt(at, position, inFolder(receipts, position))
      }
    })

  program
    .command('receipt <position>')
    .description('Get the receipt for what stands at that position of the log, verify it, and keep it in a file.')
    .option('--out <file>', 'where (default: receipt-POSITION.raftkit)')
    .action(async (given: string, { out }: { out?: string }, command: Command) => {
      const position = Number(given)
      if (!Number.isSafeInteger(position) || position < 1) throw new UsageError('a position is a whole number above 0')
      await keepReceipt(session(command), position, out ?? inFolder('.', position))
    })
}

async function keepReceipt({ client, print }: Session, position: number, file: string): Promise<void> {
  const { bytes, proven } = await client.receipt(position)
  writeFileSync(file, bytes)
  print(
    { file, position: proven.position, bytes: bytes.length },
    () => `${file}: ${bytes.length} bytes, signed by ${proven.signers.join(', ')}`,
  )
}

async function linesOf({ stdin }: Session): Promise<string[]> {
  const lines = (await text(stdin)).split('\n')
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines
}

function json(line: string): Content {
  try {
    return JSON.parse(line) as Content
  } catch {
    throw new UsageError(`${JSON.stringify(line.slice(0, 80))} is not JSON`)
  }
}
