import { positive, table } from '@raftkit/app-kv'
import type { Command } from 'commander'
import { whose } from '../genesis.ts'
import type { LedgerEntry } from '../machine.ts'
import { read, tip } from '../reading.ts'
import type { Opening } from './command-line.ts'

export function readingCommands(program: Command, { session }: Opening): void {
  program
    .command('read [from] [to]')
    .description('Entries by number, as f + 1 members tell them alike, up to the newest; by default the last 20.')
    .action(async (first: string | undefined, last: string | undefined, _options, command: Command) => {
      const at = session(command)
      const { entries } = await tip(at.client)
      const to = Math.min(entries, last === undefined ? entries : positive(last))
      const from = first === undefined ? Math.max(1, to - 19) : positive(first)
      if (from > to && !at.json) at.say(`nothing stands there: the ledger has ${entries} entries`)
      for await (const page of read(at.client, { from, to }))
        if (at.json) for (const entry of page) at.print(entry, () => '')
        else at.print(page, () => shown(page, (key) => whose(at.genesis, key)))
    })
}

const shown = (page: readonly LedgerEntry[], name: (key: string) => string): string =>
  table(
    ['number', 'position', 'time', 'author', 'content'],
    page.map(({ number, position, time, author, content }) => [
      number,
      position,
      new Date(time).toISOString(),
      name(author),
      typeof content === 'string' ? content : JSON.stringify(content),
    ]),
  )
