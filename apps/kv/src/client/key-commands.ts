import { Readable } from 'node:stream'
import { json, text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import type { Command } from 'commander'
import { EventSourceParserStream } from 'eventsource-parser/stream'
import type { Change } from '../machine/store.ts'
import { keyPath } from './client.ts'
import { type Open, positive, type Session, Unmet } from './command-line.ts'
import { follow } from './exchange.ts'
import { exitCodes, UsageError } from './exit.ts'

interface Shown {
  key: string
  value: string
  revision: number
}
interface Listed {
  entries: Shown[]
  next: string | null
}

const stale = ['--stale', 'what the member itself holds, which may be old'] as const

export function keyCommands(program: Command, open: Open): void {
  program
    .command('put <key> <value>')
    .description('Set a key. The value - is read from standard input.')
    .action(async (key: string, value: string, _options, command: Command) => {
      const session = open(command)
      const body = { value: await given(value, session) }
      changed(session, await session.client.call({ method: 'PUT', path: pathOf(key), body }))
    })

  program
    .command('append <key> <value>')
    .description('Add to the end of a value. The value - is read from standard input.')
    .action(async (key: string, value: string, _options, command: Command) => {
      const session = open(command)
      const body = { value: await given(value, session) }
      changed(session, await session.client.call({ method: 'POST', path: pathOf(key, 'append'), body }))
    })

  program
    .command('cas <key> <value>')
    .description('Set a key if it is as expected; otherwise change nothing and end with 3.')
    .option('--absent', 'there is no such key')
    .option('--expect <value>', 'it has this value')
    .option('--revision <number>', 'it has this revision', positive)
    .action(
      async (
        key: string,
        value: string,
        options: { absent?: true; expect?: string; revision?: number },
        command: Command,
      ) => {
        const session = open(command)
        const { absent, expect, revision } = options
        const expectations = [
          ...(absent ? [{ absent }] : []),
          ...(expect === undefined ? [] : [{ value: expect }]),
          ...(revision === undefined ? [] : [{ revision }]),
        ]
        if (expectations.length !== 1) throw new UsageError('cas: give one of --absent, --expect and --revision')
        const body = { value: await given(value, session), expect: expectations[0] }
        changed(session, await session.client.call({ method: 'POST', path: pathOf(key, 'cas'), body }))
      },
    )

  program
    .command('get <key>')
    .description('Print a value.')
    .option(...stale)
    .action(async (key: string, options: { stale?: true }, command: Command) => {
      const session = open(command)
      const shown = (await session.client.get(pathOf(key) + (options.stale ? '?consistency=stale' : ''))) as Shown
      session.print(shown, () => shown.value)
    })

  program
    .command('del <key>')
    .description('Remove a key.')
    .action(async (key: string, _options, command: Command) => {
      const session = open(command)
      changed(session, await session.client.call({ method: 'DELETE', path: pathOf(key) }))
    })

  program
    .command('list [prefix]')
    .description('Print keys and values in order, a line each; in JSON one page.')
    .option('--limit <count>', 'at most so many', positive, 100)
    .option('--after <key>', 'go on behind this key')
    .option(...stale)
    .action(async (prefix = '', options: { limit: number; after?: string; stale?: true }, command: Command) => {
      const session = open(command)
      const query = new URLSearchParams({ prefix, limit: String(options.limit) })
      if (options.after !== undefined) query.set('after', options.after)
      if (options.stale) query.set('consistency', 'stale')
      const page = (await session.client.get(`/v1/kv?${query}`)) as Listed
      if (session.json || page.entries.length > 0) session.print(page, () => page.entries.map(line).join('\n'))
      if (page.next !== null) session.say(`more: --after ${JSON.stringify(page.next)}`)
    })

  program
    .command('watch [prefix]')
    .description('Print changes as they happen, without gap or repetition, until interrupted.')
    .option('--from <revision>', 'begin there instead of now', positive)
    .action(async (prefix = '', options: { from?: number }, command: Command) =>
      watch(open(command), prefix, options.from),
    )
}

const line = ({ key, value }: Shown): string => `${key}\t${value}`

function changed(session: Session, body: unknown): void {
  session.print(body, () => String((body as Shown).revision))
}

function pathOf(key: string, action?: 'append' | 'cas'): string {
  if (key === '' || key === '.' || key === '..')
    throw new UsageError('a key is not empty, and no URL can carry the keys . and ..')
  if (/\p{Surrogate}/u.test(key)) throw new UsageError('a key is well-formed Unicode')
  return keyPath(key, action)
}

const given = (value: string, { stdin }: Session): Promise<string> | string => (value === '-' ? text(stdin) : value)

/** Follows the changes over members that come and go: the last revision seen says where to go on. */
async function watch(session: Session, prefix: string, from: number | undefined): Promise<void> {
  const { client, interrupted } = session
  let last = from === undefined ? undefined : from - 1
  for (let attempt = 0; !interrupted.aborted; attempt++) {
    const endpoint = client.endpoints[attempt % client.endpoints.length]!
    const query = new URLSearchParams({ prefix, ...(last !== undefined && { from: String(last + 1) }) })
    try {
      const response = await follow(endpoint, `/v1/watch?${query}`, client.dialer, interrupted)
      const { statusCode = 0 } = response
      if (statusCode !== 200) {
        const { error } = (await json(response)) as { error: { code: string; message: string } }
        if (statusCode < 500) throw new Unmet(`${error.code}: ${error.message}`, exitCodes.failure)
        throw new Error(error.message)
      }
      session.say(`watching at ${endpoint}`)
      for await (const event of Readable.toWeb(response)
        .pipeThrough(new TextDecoderStream())
        .pipeThrough(new EventSourceParserStream())) {
        if (event.event === 'compacted')
          throw new Unmet(`COMPACTED: too slow, changes were lost: ${event.data}`, exitCodes.failure)
        const change = JSON.parse(event.data) as Change
        last = change.revision
        session.print(change, () =>
          `${change.revision}\t${change.type}\t${change.key}\t${change.value ?? ''}`.trimEnd(),
        )
      }
      session.say(`${endpoint} ended the watch`)
    } catch (error) {
      if (interrupted.aborted) return
      if (error instanceof Unmet) throw error
      session.say(`${endpoint}: ${(error as Error).message}`)
    }
    await pause(500, undefined, { signal: interrupted }).catch(() => {})
  }
}
