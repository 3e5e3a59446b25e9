import type { Command } from 'commander'
import { CallFailed } from './client.ts'
import { type Open, type Session, Unmet } from './command-line.ts'
import { exchange } from './exchange.ts'
import { exitCodes } from './exit.ts'
import { table } from './table.ts'

/** The part of a member's status that is shown. */
export interface MemberView {
  id: string
  role: string
  state: string
  term: number
  leader?: string
  commit: number
  machineApplied: number
  first: number
  last: number
  incarnation: string
  snapshot?: { index: number }
  config: { members: ListedMember[] }
}

export interface ListedMember {
  id: string
  role: string
  address?: string
  incarnation: string
}

/** A newcomer may first have to fetch a snapshot. */
const changeTimeout = 120_000

export function clusterCommands(program: Command, open: Open): void {
  program
    .command('status')
    .description('What each of the endpoints says of itself. Ends with 5 if the cluster cannot answer a read.')
    .action(async (_options, command: Command) => status(open(command)))

  program
    .command('hash')
    .description('The hash of the whole machine on each of the endpoints. Members at the same index have the same.')
    .action(async (_options, command: Command) => {
      const session = open(command)
      const rows = await everywhere<{ id: string; index: number; hash: string }>(session, 'GET', '/v1/hash')
      session.print(rows, () =>
        table(
          ['member', 'index', 'hash'],
          rows.map(({ id, index, hash }) => [id, index, hash]),
        ),
      )
    })

  program
    .command('snapshot')
    .description('Take a snapshot on each of the endpoints now.')
    .action(async (_options, command: Command) => {
      const session = open(command)
      const rows = await everywhere<{ name: string; index: number; bytes: number }>(session, 'POST', '/v1/snapshot')
      session.print(rows, () =>
        table(
          ['snapshot', 'index', 'bytes'],
          rows.map(({ name, index, bytes }) => [name, index, bytes]),
        ),
      )
    })

  program
    .command('transfer [member]')
    .description('Hand leadership over, to the member or to the one that is furthest.')
    .action(async (to: string | undefined, _options, command: Command) => {
      const session = open(command)
      const done = (await session.client.call({
        method: 'POST',
        path: '/v1/transfer',
        body: to === undefined ? {} : { to },
      })) as { leader: string }
      session.print(done, () => done.leader)
    })

  const member = program.command('member').description('See and change who is part of the cluster.')
  member.command('list').action(async (_options, command: Command) => {
    const session = open(command)
    const { members } = (await session.client.get('/v1/members')) as { members: ListedMember[] }
    showMembers(session, members)
  })
  member
    .command('add <id> <address>')
    .description('Add a voter that was started with --join. It is a learner until it has caught up.')
    .action((id: string, address: string, _options, command: Command) =>
      change(open(command, changeTimeout), 'POST', '/v1/members', { id, address, role: 'voter' }),
    )
  member
    .command('add-learner <id> <address>')
    .description('Add a member that receives everything and never votes.')
    .action((id: string, address: string, _options, command: Command) =>
      change(open(command, changeTimeout), 'POST', '/v1/members', { id, address, role: 'learner' }),
    )
  member
    .command('replace <old> <id> <address>')
    .description('Put a member in the place of another; <id> may be <old>, after its disk was wiped.')
    .action((replaces: string, id: string, address: string, _options, command: Command) =>
      change(open(command, changeTimeout), 'POST', '/v1/members', { id, address, replaces }),
    )
  member
    .command('remove <id>')
    .option('--force', 'even if too few of the others are reachable')
    .action((id: string, { force }: { force?: true }, command: Command) =>
      change(
        open(command, changeTimeout),
        'DELETE',
        `/v1/members/${encodeURIComponent(id)}${force ? '?force=true' : ''}`,
      ),
    )
  for (const verb of ['promote', 'demote'] as const) {
    member
      .command(`${verb} <id>`)
      .description(verb === 'promote' ? 'Let a learner vote.' : 'Make a voter a learner.')
      .action((id: string, _options, command: Command) =>
        change(open(command, changeTimeout), 'POST', `/v1/members/${encodeURIComponent(id)}/${verb}`),
      )
  }
}

async function change(session: Session, method: 'POST' | 'DELETE', path: string, body?: object): Promise<void> {
  const { members } = (await session.client.call({ method, path, body })) as { members: ListedMember[] }
  showMembers(session, members)
}

function showMembers(session: Session, members: readonly ListedMember[]): void {
  session.print({ members }, () =>
    table(
      ['member', 'role', 'address', 'incarnation'],
      members.map(({ id, role, address, incarnation }) => [id, role, address ?? '-', incarnation.slice(0, 8)]),
    ),
  )
}

/** Asks each endpoint itself: the answers differ by nature. One that does not answer is talked about; if none does, it fails. */
async function everywhere<T>({ client, say }: Session, method: 'GET' | 'POST', path: string): Promise<T[]> {
  const answers = await Promise.all(
    client.endpoints.map(async (endpoint) => {
      try {
        const { status, body } = await exchange(endpoint, { method, path }, client.timeout, client.dialer)
        if (status < 300) return [body as T]
        say(`${endpoint}: ${(body as { error?: { message?: string } }).error?.message ?? `answered ${status}`}`)
      } catch (error) {
        say((error as Error).message)
      }
      return []
    }),
  )
  if (answers.flat().length === 0) {
    throw new CallFailed(0, { code: 'UNREACHABLE', message: 'no endpoint answered', outcome: 'refused' })
  }
  return answers.flat()
}

async function status(session: Session): Promise<void> {
  const members = await everywhere<MemberView>(session, 'GET', '/v1/status')
  const healthy = await session.client.get('/v1/kv?limit=1').then(
    () => true,
    () => false,
  )
  session.print({ healthy, members }, () =>
    table(
      ['member', 'role', 'term', 'leader', 'commit', 'applied', 'log', 'snapshot', 'state'],
      members.map((m) => [
        m.id,
        m.role,
        m.term,
        m.leader ?? '-',
        m.commit,
        m.machineApplied,
        `${m.first}–${m.last}`,
        m.snapshot?.index ?? '-',
        m.state,
      ]),
    ),
  )
  if (!healthy)
    throw new Unmet('the cluster answers no read: too few members are up, or none leads', exitCodes.unhealthy)
}
