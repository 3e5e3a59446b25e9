#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { isRaftkitError } from '@raftkit/contract'
import { inspectWal, type WalFlush, type WalReport } from './inspect.ts'

const usage = `Usage: raftkit-wal ls|show|verify DIRECTORY [--json]

Looks at the write-ahead log of a member that is stopped. Reads and checks all of it; changes nothing.

  ls        the segments, and what each group holds
  show      every flush, with what it says of each group
  verify    whether everything is as it was written

  --json    one JSON object per line
  --help

DIRECTORY is the one that walStorage was given.
Exit: 0 whole, 1 damaged, 2 a process holds the directory, 3 a wrong argument, an unknown format or an unreadable file.`

const commands = ['ls', 'show', 'verify']
/** Logs below this need no progress. */
const largeBytes = 256 * 1024 * 1024

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { json: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } },
  })
  if (values.help) {
    console.log(usage)
    return 0
  }
  const [command = '', directory, ...rest] = positionals
  if (!commands.includes(command) || directory === undefined || rest.length > 0) {
    console.error(usage)
    return 3
  }
  const say = (line: string): void => void process.stdout.write(`${line}\n`)
  const report = await inspectWal(directory, {
    ...(command === 'show' && {
      flush: (flush: WalFlush) => say(values.json ? JSON.stringify(flush) : flushLine(flush)),
    }),
    ...(process.stderr.isTTY && { progress: tellProgress() }),
  })
  const damaged = report.damage !== undefined || report.groups.some(({ damage }) => damage !== undefined)
  if (values.json) say(JSON.stringify(command === 'verify' ? verdict(report, damaged) : report))
  else if (command !== 'show' || damaged) for (const line of lines(report, command === 'ls')) say(line)
  return damaged ? 1 : 0
}

const verdict = ({ directory, damage, flushes, mark, torn, groups }: WalReport, damaged: boolean): object => ({
  ...{ directory, whole: !damaged, damage, flushes, mark, torn },
  groups: groups.length,
  damagedGroups: groups.flatMap(({ group, damage }) => (damage === undefined ? [] : [{ group, damage }])),
})

function flushLine({ number, segment, offset, bytes, sound, groups }: WalFlush): string {
  const told = groups.map(({ group, destroyed, first, last, state, pieces }) => {
    if (destroyed) return `${group} destroyed`
    const records = pieces.map(
      ({ at, count, moved }) => `${moved ? 'moved ' : '+'}${at}${count === 1 ? '' : `..${at + count - 1}`}`,
    )
    return [group, ...records, `= ${first}..${last}`, ...(state === undefined ? [] : [`state ${state} B`])].join(' ')
  })
  return `${number} ${segment}@${offset} ${bytes} B${sound ? '' : ' ALTERED'}: ${told.join('; ')}`
}

function* lines(
  { directory, damage, flushes, mark, torn, segments, groups }: WalReport,
  all: boolean,
): Generator<string> {
  if (all) {
    for (const { name, used, bytes, firstFlush, role } of segments)
      yield `${name}  ${role}${role === 'spare' ? `, ${bytes} B` : `, ${used} of ${bytes} B, from flush ${firstFlush}`}`
    for (const { group, first, last, state } of groups)
      yield `group ${group}  ${last < first ? `empty before ${first}` : `${first} to ${last}`}${state === undefined ? '' : `, state ${state} B`}`
  }
  for (const group of groups) if (group.damage !== undefined) yield `DAMAGED group ${group.group}: ${group.damage}`
  if (damage !== undefined) yield `DAMAGED ${damage}`
  else
    yield `${directory}: ${flushes} flushes (the mark knows ${mark}), ${groups.length} groups${torn ? '; a flush that a crash tore lies behind the end, never acknowledged' : ''}`
}

function tellProgress(): (bytes: number, of: number) => void {
  let told = 0
  return (bytes, of) => {
    const percent = Math.floor((bytes / of) * 100)
    if (of < largeBytes || percent === told) return
    told = percent
    process.stderr.write(`\r${percent} % of ${Math.round(of / 1_048_576)} MiB${percent === 100 ? '\n' : ''}`)
  }
}

// A reader that has seen enough (`| head`) is no failure.
process.stdout.on('error', () => process.exit(0))

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = isRaftkitError(error, 'LOCKED') ? 2 : 3
}
