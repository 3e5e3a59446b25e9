import { execFile } from 'node:child_process'
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePorts, rehearsal } from '@raftkit/app-kv'
import { fromHex } from '@raftkit/bytes'
import { Clerk } from './local/clerk.ts'
import { Organisation, program } from './local/organisation.ts'
import { judge } from './local/verdict.ts'
import type { LedgerEntry } from './machine.ts'
import {
  addOrganisation,
  clerkFolder,
  genesisFile,
  makeOrganisations,
  memberFile,
  memberFolder,
  operatorKey,
} from './organisations.ts'
import { read, tip } from './reading.ts'
import type { MemberStatus } from './server/https.ts'

// Four organisations write to the ledger they share. One of them lies, in three ways one behind the other, and one that does not is killed. Then the
// operators of the others exchange the liar for a fifth organisation, while all write on. In the end everything that was acknowledged is looked for, and
// what is proved is verified by a process that knows the genesis file and nothing else, and nobody's word.

/** East leads the first term. */
const ids = ['east', 'north', 'south', 'west']
const liar = 'east'
/** Who comes in its place. */
const newcomer = 'centre'
const lies = [
  { fault: 'F1', does: 'leads, sends different batches to two halves of the members, and votes for both' },
  { fault: 'F4', does: 'votes for two entries at one place' },
  { fault: 'F40', does: 'tells clients results that are not true' },
] as const
const load = { lanes: 2, batch: 8 }
/** A batch that one member alone was told could be overlooked. A vote for it, beside that for the other, is proof. */
const first = `${lies[0].fault},${lies[1].fault}`
/** Entries acknowledged while each lie lasts; on a slow machine fewer, after so many milliseconds. */
const perLie = { atLeast: 100, wanted: 800, milliseconds: 6_000 }
const enough = 2_000
const receiptsWanted = 20
/** Asked for in the end, of what was written in the beginning, before the exchange. */
const oldReceipts = 10
const limit = 150_000

const started = performance.now()
const seconds = (): number => (performance.now() - started) / 1000
const say = (line: string) => console.log(`${seconds().toFixed(1).padStart(5)} s  ${line}`)

const directory = await mkdtemp(join(tmpdir(), 'raftkit-ledger-'))
const ports = await freePorts(ids.length * 2 + 2)
const genesis = await makeOrganisations(
  directory,
  'demo',
  ids.map((id, at) => ({ id, host: '127.0.0.1', port: ports[at]!, httpPort: ports[ids.length + at]! })),
)
const [port, httpPort] = ports.slice(-2) as [number, number]
const come = await addOrganisation(directory, { id: newcomer, host: '127.0.0.1', port, httpPort })
const organisations = [...genesis.members, come].map((member) => new Organisation(directory, member))
const named = (id: string): Organisation => organisations.find((organisation) => organisation.id === id)!

/** Who was told of by clients, and how often. */
const mismatches = new Map<string, number>()
const clerks = [...ids, newcomer].map(
  (id) =>
    new Clerk(directory, genesis, id, ({ type, member }) => {
      if (type === 'mismatch') mismatches.set(member, (mismatches.get(member) ?? 0) + 1)
    }),
)
/** Of the founders, who begin; the newcomer's writes once it is one of them. */
const founding = clerks.slice(0, ids.length)
const acknowledged = (): number => clerks.reduce((sum, clerk) => sum + clerk.acknowledged.size, 0)

async function endAll(): Promise<void> {
  await Promise.all(organisations.map((organisation) => organisation.kill()))
}
const running = rehearsal({ directory, limit }, endAll, say)

/** Resolves when so many more are acknowledged. */
async function progress(count: number, since = acknowledged()): Promise<void> {
  while (acknowledged() < since + count) await pause(20)
}

async function whileItLies(): Promise<void> {
  const since = acknowledged()
  await progress(perLie.atLeast, since)
  await Promise.race([progress(perLie.wanted, since), pause(perLie.milliseconds)])
}

async function statusOf(id: string): Promise<MemberStatus | undefined> {
  const { wire } = clerks[1]!
  return (await wire.get(named(id).member, '/v1/status', AbortSignal.timeout(2_000)).catch(() => undefined)) as
    | MemberStatus
    | undefined
}

/** Who leads, as the honest members say alike; undefined: for a while they do not. */
async function leader(): Promise<string | undefined> {
  for (let tries = 0; tries < 100; tries++) {
    const said = await Promise.all(ids.filter((id) => id !== liar).map(statusOf))
    const leaders = new Set(said.map((status) => status?.leader ?? undefined))
    const [one] = leaders
    if (leaders.size === 1 && one !== undefined) return one
    await pause(50)
  }
  return undefined
}

/** The command, run by another process: what it says, a line of JSON each, and how it ended. */
async function command(...args: string[]): Promise<{ lines: Record<string, unknown>[]; code: number; said: string }> {
  const given = [program, '--json', '--genesis', genesisFile(directory), ...args]
  const done = await promisify(execFile)(process.execPath, given, { env: {}, maxBuffer: 64 * 1024 * 1024 }).then(
    ({ stdout, stderr }) => ({ stdout, stderr, code: 0 }),
    (error: { stdout: string; stderr: string; code: number }) => error,
  )
  const lines = done.stdout.split('\n').filter((line) => line !== '')
  return { lines: lines.map((line) => JSON.parse(line) as Record<string, unknown>), code: done.code, said: done.stderr }
}

/** By the command, as people would: it must go well. */
async function well(...args: string[]): Promise<void> {
  const { code, said } = await command(...args)
  if (code !== 0) throw new Error(`raftkit-ledger ${args.join(' ')} ended with ${code}: ${said}`)
}

/** The operators of those who stay sign the exchange, each a copy of its own. */
async function approvedExchange(): Promise<string[]> {
  const file = join(directory, 'exchange.json')
  const card = memberFile(memberFolder(directory, newcomer))
  await well('members', 'propose', '--leave', liar, '--come', card, '--out', file)
  const approve = async (id: string): Promise<string> => {
    const copy = `${file}.${id}`
    copyFileSync(file, copy)
    await well('members', 'approve', copy, '--key', operatorKey(directory, id))
    return copy
  }
  return Promise.all(ids.filter((id) => id !== liar).map(approve))
}

/** A copy with one byte changed. */
function spoilt(file: string): string {
  const bytes = readFileSync(file)
  const at = Math.floor(bytes.length / 2)
  bytes[at]! ^= 1
  writeFileSync(`${file}.spoilt`, bytes)
  return `${file}.spoilt`
}

try {
  say(`four organisations, each a process of its own: gRPC with mutual TLS between them, HTTPS for clients`)
  await Promise.all(ids.map((id) => named(id).start(id === liar ? first : undefined)))
  say(`${liar} lies: it ${lies[0].does}`)
  for (const clerk of founding) clerk.write(load.lanes, load.batch)
  await whileItLies()
  const after = await leader()
  // Of three others it may have told one alone another thing, and then those who are left can commit, and need not know.
  say(`${acknowledged()} acknowledged; ${after ?? 'nobody'} leads ${after === liar ? 'still' : 'now'}`)

  await named(liar).kill()
  await named(liar).start(lies[1].fault)
  say(`${liar} is back and lies otherwise: it ${lies[1].does}`)
  await whileItLies()
  say(`${acknowledged()} acknowledged`)

  await named(liar).kill()
  await named(liar).start(lies[2].fault)
  say(`${liar} is back and lies otherwise: it ${lies[2].does}`)
  await progress(perLie.atLeast)
  const leading = await leader()
  const victim = leading === undefined || leading === liar ? 'north' : leading
  await named(victim).kill()
  say(
    `killed ${victim}, which ${victim === leading ? 'led and ' : ''}never lied, after ${acknowledged()} acknowledgements`,
  )
  const [copies] = await Promise.all([approvedExchange(), named(newcomer).start(), progress(perLie.atLeast)])
  await named(victim).start()
  say(`${victim} is back; ${newcomer} is there, and waits; north, south and west approve of it in place of ${liar}`)
  const before = acknowledged()
  await well('--identity', clerkFolder(directory, 'north'), 'members', 'apply', ...copies)
  await named(liar).ended()
  say(
    `${newcomer} is a member, and ${liar} no longer: it was told, and ended; ${acknowledged() - before} acknowledged meanwhile`,
  )
  clerks.at(-1)!.write(load.lanes, load.batch)
  await progress(Math.max(perLie.atLeast, enough + 200 - acknowledged()))
  await Promise.all(clerks.map((clerk) => clerk.finish()))
  const all = new Map<string, LedgerEntry>(clerks.flatMap((clerk) => [...clerk.acknowledged]))
  const unknown = new Set(clerks.flatMap((clerk) => [...clerk.unknown]))
  say(`clerks are done: ${all.size} acknowledged, ${unknown.size} unknown`)

  const { client, wire } = clerks[1]!
  const known = await tip(client)
  const ledger: LedgerEntry[] = []
  for await (const page of read(client, { from: 1, to: known.entries })) ledger.push(...page)
  const verdict = judge({ acknowledged: all, unknown, ledger })
  say(`the ledger has ${ledger.length} entries, as f + 1 members tell them alike`)

  const old = ledger.slice(0, oldReceipts * load.batch).filter((_, at) => at % load.batch === 0)
  const [proofs, kept] = [join(directory, 'proofs'), join(directory, 'proofs', 'old')]
  await mkdir(kept, { recursive: true })
  const oldFiles = await Promise.all(
    old.map(async ({ position }) => {
      const file = join(kept, `${position}.receipt`)
      writeFileSync(file, (await client.receipt(position)).bytes)
      return file
    }),
  )
  const { epochs } = client
  say(
    `members of epoch ${epochs.at(-1)!.epoch}: ${epochs
      .at(-1)!
      .list.map(({ id }) => id)
      .join(', ')}`,
  )

  const honest = epochs.at(-1)!.list.map(({ id }) => id)
  const differs = async (): Promise<string[]> => {
    const said = await Promise.all(honest.map(statusOf))
    return honest.filter((_, at) => said[at]?.entries !== known.entries || said[at]?.hash !== known.hash)
  }
  let forked = await differs()
  for (let tries = 0; forked.length > 0 && tries < 100; tries++) {
    await pause(100)
    forked = await differs()
  }
  say(`ledgers of the honest members that differ: ${forked.length}`)

  const receipts = clerks.flatMap((clerk) =>
    [...clerk.receipts].map(([position, bytes]) => {
      const file = join(proofs, `${position}.receipt`)
      writeFileSync(file, bytes)
      return file
    }),
  )
  const unproven = clerks.reduce((sum, clerk) => sum + clerk.unproven, 0)
  const evidence: string[] = []
  for (const id of honest)
    for (const { name, bytes } of (await wire.get(named(id).member, '/v1/evidence', AbortSignal.timeout(5_000))) as {
      name: string
      bytes: string
    }[]) {
      evidence.push(join(proofs, `${id}-${name}`))
      writeFileSync(evidence.at(-1)!, fromHex(bytes))
    }
  for (const clerk of clerks) clerk.wire.hangUp()
  await Promise.all(organisations.map((organisation) => organisation.stop()))
  say('all members are stopped; from here on, only files')

  if (evidence.length === 0) throw new Error(`no honest member can prove that ${liar} lied`)
  const [verified, oldVerified, accused, spoiltReceipt, spoiltEvidence] = await Promise.all([
    command('verify', ...receipts),
    command('verify', ...oldFiles),
    command('evidence', 'verify', ...evidence),
    command('verify', spoilt(receipts[0]!)),
    command('evidence', 'verify', spoilt(evidence[0]!)),
  ])
  const culprits = [...new Set(accused.lines.map(({ who }) => String(who)))]
  const kinds = [...new Set(accused.lines.map(({ lie }) => String(lie)))].sort()
  say(
    `another process verified ${receipts.length} receipts, ${oldFiles.length} more of what was written in the beginning, and ${evidence.length} pieces of evidence (${kinds.join(', ')}), all against ${culprits.join(', ')}; with one byte changed, none`,
  )

  const wrong = [
    ...(all.size < enough ? [`fewer than ${enough} acknowledgements`] : []),
    ...Object.entries(verdict).flatMap(([what, count]) => (count > 0 ? [`${count} entries ${what}`] : [])),
    ...(forked.length > 0 ? [`another ledger at ${forked.join(', ')}`] : []),
    ...(receipts.length < receiptsWanted || unproven > 0
      ? [`${receipts.length} receipts, and ${unproven} that nobody gave`]
      : []),
    ...(verified.code !== 0 || verified.lines.length !== receipts.length ? ['a receipt that does not verify'] : []),
    ...(oldVerified.code !== 0 || oldFiles.length < oldReceipts ? ['an old receipt that does not verify'] : []),
    ...(epochs.length !== 2 ? [`${epochs.length} epochs`] : []),
    ...(accused.code !== 0 ? ['evidence that does not verify'] : []),
    ...(culprits.some((who) => who !== liar) ? [`evidence against ${culprits.join(', ')}`] : []),
    ...(spoiltReceipt.code !== 3 || spoiltEvidence.code !== 3 ? ['a proof with a byte changed was believed'] : []),
    ...([...mismatches.keys()].some((id) => id !== liar) ? ['clients were told lies by an honest member'] : []),
    ...(mismatches.get(liar) === undefined ? [`nobody noticed what ${liar} told clients`] : []),
  ]
  running.done()
  if (wrong.length === 0) await rm(directory, { recursive: true })
  else say(`WRONG: ${wrong.join('; ')}. What there is lies in ${directory}: ${readdirSync(directory).join(', ')}`)
  console.log(
    JSON.stringify({
      acknowledged: all.size,
      ...verdict,
      forked: forked.length,
      unknown: unknown.size,
      lies: lies.map(({ fault }) => fault),
      killed: victim,
      mismatches: mismatches.get(liar) ?? 0,
      epochs: epochs.length,
      exchanged: { left: liar, came: newcomer },
      receiptsVerified: verified.lines.filter(({ verified }) => verified).length,
      oldReceiptsVerified: oldVerified.lines.filter(({ verified }) => verified).length,
      evidenceVerified: accused.lines.filter(({ verified }) => verified).length,
      evidence: kinds,
      culprits,
      seconds: Math.round(seconds() * 10) / 10,
    }),
  )
  process.exit(wrong.length === 0 ? 0 : 1)
} catch (error) {
  if (!running.interrupted) {
    say(`failed: ${(error as Error).stack}\nWhat the members hold is kept in ${directory}`)
    await endAll()
    process.exit(1)
  }
}
