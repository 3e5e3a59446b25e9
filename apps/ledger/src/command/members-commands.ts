import { setTimeout as pause } from 'node:timers/promises'
import { positive, table, UsageError } from '@raftkit/app-kv'
import { isRaftkitError, RaftkitError } from '@raftkit/contract'
import { readKey } from '@raftkit/ed25519'
import type { Command } from 'commander'
import { approved, type Exchange, proposed, readExchange, signedBy, writeExchange } from '../exchange.ts'
import { type Member, membersOf, readMember } from '../genesis.ts'
import type { ChangeAnswer } from '../server/https.ts'
import type { Desk, Opening, Session } from './command-line.ts'

interface Proposal {
  leave?: string[]
  come?: string[]
  threshold?: number
  out: string
}

export function membersCommands(program: Command, { desk, session }: Opening): void {
  const members = program
    .command('members')
    .description('Who the members are, epoch by epoch, as it is proven from the founders on; asks the members of now.')
    .action(async (_options, command: Command) => {
      const at = session(command)
      await at.client.follow()
      show(at, at.client.epochs)
    })

  members
    .command('propose')
    .description('Write down an exchange of members: the file is to be signed by operators, each after having read it.')
    .option('--leave <name...>', 'who is to be a member no longer')
    .option('--come <file...>', 'who is to be one: the member.json of an organisation')
    .option(
      '--threshold <number>',
      'how many operators the next exchange takes (default: as many as this one)',
      positive,
    )
    .requiredOption('--out <file>', 'where to')
    .action((_options, command: Command) => {
      const at = desk(command)
      const { leave = [], come = [], threshold, out } = command.opts<Proposal>()
      if (leave.length + come.length === 0) throw new UsageError('say who is to --leave, or to --come')
      const now = at.trust.epochs.at(-1)!
      const exchange = proposed(at.genesis, now, { leave, come: come.map(readMember), threshold })
      writeExchange(out, exchange)
      tell(at, out, exchange)
    })

  members
    .command('approve <file>')
    .description('Sign an exchange as an operator, which needs no member. What is signed is told.')
    .requiredOption('--key <file>', "the operator's key")
    .action((file: string, { key }: { key: string }, command: Command) => {
      const at = desk(command)
      const exchange = approved(readExchange(file), at.trust, readKey(key))
      writeExchange(file, exchange)
      tell(at, file, exchange)
    })

  members
    .command('apply <files...>')
    .description(
      'Hand an exchange to the members; its copies, if each operator signed one. Resolves once they are others.',
    )
    .action(async (files: string[], _options, command: Command) => {
      const at = session(command)
      await at.client.follow()
      const trust = { ...at.trust, epochs: at.client.epochs }
      const bytes = signedBy(files.map(readExchange), trust)
      const { epoch } = trust.epochs.at(-1)!
      const end = performance.now() + at.timeout
      await handOver(at, bytes)
      // What they say of it is not believed.
      while (at.client.epochs.at(-1)!.epoch === epoch) {
        if (performance.now() > end)
          throw new RaftkitError('TIMEOUT', 'f + 1 members do not prove that it is done', { outcome: 'unknown' })
        await at.client.follow()
        await pause(50)
      }
      show(at, at.client.epochs.slice(-1))
    })
}

/** To all of them, since one may lie: the first that did it is enough. Throws what they refuse it for. */
async function handOver(at: Session, bytes: Uint8Array): Promise<void> {
  const signal = AbortSignal.timeout(at.timeout)
  const handed = membersOf(at.genesis, at.client.epochs.at(-1)!).map(async (member) => {
    const said = (await at.wire.post(member, '/v1/members', bytes, signal)) as ChangeAnswer
    if (said.refused !== undefined)
      throw new RaftkitError('REFUSED', `${member.id}: ${said.refused}`, { outcome: 'refused' })
  })
  try {
    await Promise.any(handed)
  } catch (error) {
    const { errors } = error as AggregateError
    // Whoever was not heard may be doing it.
    const outcome = errors.every((one) => isRaftkitError(one, 'REFUSED')) ? 'refused' : 'unknown'
    throw new RaftkitError('REFUSED', errors.map((one: Error) => one.message).join('\n'), { outcome })
  }
}

function show(at: Desk, epochs: Session['client']['epochs']): void {
  for (const one of epochs) {
    const members = membersOf(at.genesis, one)
    const threshold = one.operators?.threshold ?? 0
    at.print({ epoch: one.epoch, threshold, members }, () =>
      [
        `epoch ${one.epoch}, from entry ${one.genesis.index} on; ${threshold === 0 ? 'nobody exchanges' : `${threshold} operators exchange`} members`,
        table(
          ['member', 'key', 'address', 'url', 'operator'],
          members.map(({ id, key, address, url, operator = '-' }: Member) => [
            id,
            short(key),
            address,
            url,
            short(operator),
          ]),
        ),
      ].join('\n'),
    )
  }
}

/** What operators must see before they sign: all in which it differs from what is. */
function tell(at: Desk, file: string, exchange: Exchange): void {
  const now = at.trust.epochs.at(-1)!
  const before = membersOf(at.genesis, now)
  const { epoch, members, threshold } = exchange
  const twin = (one: Member, others: readonly Member[]): Member | undefined =>
    others.find(({ id, key }) => id === one.id && key === one.key)
  const leave = before.filter((one) => !twin(one, members))
  const come = members.filter((one) => !twin(one, before))
  const change = members.filter((one) => {
    const old = twin(one, before)
    return old && (old.address !== one.address || old.url !== one.url || old.operator !== one.operator)
  })
  const approve = before.filter(({ operator }) => operator !== undefined && operator in exchange.approvals)
  const idsOf = (list: readonly Member[]): string[] => list.map(({ id }) => id)
  const said = { leave: idsOf(leave), come: idsOf(come), change: idsOf(change), approvedBy: idsOf(approve) }
  at.print({ file, epoch, ...said, threshold }, () => {
    const names = (list: readonly Member[]): string =>
      list
        .map(
          ({ id, key, address, url, operator = '-' }) =>
            `${id} (${short(key)}, ${address}, ${url}, ${short(operator)})`,
        )
        .join(', ') || 'nobody'
    return [
      `${file}: ends epoch ${epoch}`,
      `  leaves:    ${names(leave)}`,
      `  comes:     ${names(come)}`,
      `  changes:   ${names(change)}`,
      `  operators: ${threshold} of ${members.length}${threshold === now.operators?.threshold ? '' : `, and not ${now.operators?.threshold} any more`}`,
      `  approved:  ${idsOf(approve).join(', ') || 'by nobody yet'}`,
    ].join('\n')
  })
}

const short = (hex: string): string => (hex === '-' ? hex : `${hex.slice(0, 8)}…`)
