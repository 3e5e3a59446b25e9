import { table } from '@raftkit/app-kv'
import type { Command } from 'commander'
import { type Member, membersOf } from '../genesis.ts'
import { tip } from '../reading.ts'
import type { MemberStatus } from '../server/https.ts'
import { type Opening, type Session, Unproven } from './command-line.ts'

const colours = { red: 31, green: 32, yellow: 33 } as const

export function statusCommand(program: Command, { session }: Opening): void {
  program
    .command('status')
    .description(
      'What each member says of itself, beside what f + 1 say of the ledger. Ends with 3 if a member differs.',
    )
    .action(async (_options, command: Command) => {
      const at = session(command)
      const known = await tip(at.client)
      const now = membersOf(at.genesis, at.client.epochs.at(-1)!)
      const members = await Promise.all(
        now.map(async (member) => ({ id: member.id, said: await statusOf(at, member) })),
      )
      const differs = members.filter(({ said }) => said && isAnother(said, known)).map(({ id }) => id)
      at.print(
        { ...known, differs, members: members.map(({ id, said }) => said ?? { id, state: 'unreachable' }) },
        () => {
          const paint = painter(at)
          const rows = members.map(({ id, said }) => [
            id,
            said?.role ?? '-',
            said?.term ?? '-',
            said?.leader ?? '-',
            said?.applied ?? '-',
            said?.entries ?? '-',
            said?.hash.slice(0, 16) ?? '-',
            !said
              ? paint('yellow', 'unreachable')
              : differs.includes(id)
                ? paint('red', 'DIFFERS')
                : paint('green', said.state),
            heldAgainst(
              id,
              members.flatMap(({ said: other }) => (other && other.id !== id ? [other] : [])),
            ),
          ])
          const heading = `${known.entries} entries, hash ${known.hash.slice(0, 16)}… (as f + 1 members say)`
          return `${heading}\n${table(['member', 'role', 'term', 'leader', 'applied', 'entries', 'hash', 'state', 'others say'], rows)}`
        },
      )
      if (differs.length > 0) throw new Unproven(`${differs.join(', ')}: another ledger than that of the others`)
    })
}

/** What others noticed of it, by kind, and how many of them did: they may lie, or the network may have been slow. */
function heldAgainst(id: string, others: readonly MemberStatus[]): string {
  const counts = new Map<string, number>()
  for (const { peers } of others) {
    const { oddities = {}, convicted } = peers.find((peer) => peer.id === id)?.conduct ?? {}
    for (const kind of [...(convicted ? ['lies'] : []), ...Object.keys(oddities)])
      counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  return [...counts].map(([kind, count]) => `${kind} (${count} of ${others.length})`).join(', ') || '-'
}

/** With as many entries, another hash; or more of them than there were when that was asked, which may be. */
const isAnother = ({ entries, hash }: MemberStatus, known: { entries: number; hash: string }): boolean =>
  entries === known.entries && hash !== known.hash

async function statusOf({ wire, timeout }: Session, member: Member): Promise<MemberStatus | undefined> {
  try {
    return (await wire.get(member, '/v1/status', AbortSignal.timeout(Math.min(3_000, timeout)))) as MemberStatus
  } catch {
    return undefined
  }
}

function painter({ stdout, env }: Session): (colour: keyof typeof colours, text: string) => string {
  const isPlain = !(stdout as { isTTY?: boolean }).isTTY || env.NO_COLOR !== undefined
  return (colour, text) => (isPlain ? text : `\x1b[${colours[colour]}m${text}\x1b[0m`)
}
