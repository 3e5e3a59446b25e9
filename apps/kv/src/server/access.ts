import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { UsageError } from '../client/exit.ts'

/** Each may do what those before it may. */
export const roles = ['read', 'write', 'admin'] as const
export type Role = (typeof roles)[number]

export const covers = (role: Role, needed: Role): boolean => roles.indexOf(role) >= roles.indexOf(needed)

/** Who may ask for what. */
export interface Client {
  readonly name: string
  readonly role: Role
}

/** One client in the file: `tokens` are SHA-256, in hex; two while one takes the place of the other, none if it comes by certificate alone. */
interface Listed {
  role: Role
  tokens?: string[]
}

const clientName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const sha256 = /^[0-9a-f]{64}$/
/** A token has 256 bits of chance: nobody finds it by trying, so one round of a quick hash is enough, and no salt is needed. */
const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest()

/** Clients by name, from a file of JSON: `{ "web": { "role": "write", "tokens": ["…"] } }`. No secret is in it. */
export class Access {
  readonly #file: string
  #clients: ReadonlyMap<string, Client>
  #tokens: readonly { readonly hash: Buffer; readonly client: Client }[]

  /** Throws `UsageError`. */
  constructor(file: string) {
    this.#file = file
    this.#clients = new Map()
    this.#tokens = []
    this.reload()
  }

  get file(): string {
    return this.#file
  }

  /** Takes the file as it is now, or throws `UsageError` and stays as it was. */
  reload(): void {
    const listed = read(this.#file)
    const clients = new Map([...listed].map(([name, { role }]) => [name, { name, role }]))
    this.#tokens = [...listed].flatMap(([name, { tokens = [] }]) =>
      tokens.map((token) => ({ hash: Buffer.from(token, 'hex'), client: clients.get(name)! })),
    )
    this.#clients = clients
  }

  named(name: string): Client | undefined {
    return this.#clients.get(name)
  }

  /** In a time that does not tell how much of a token was right, nor which it was like. */
  withToken(token: string): Client | undefined {
    const hash = hashOf(token)
    let found: Client | undefined
    for (const each of this.#tokens) if (timingSafeEqual(each.hash, hash)) found = each.client
    return found
  }
}

/**
 * Makes a token and writes its hash into the file, which need not be there yet. What is returned is not kept anywhere.
 * A client that is listed keeps its tokens, and its role unless another is given. Throws `UsageError`.
 */
export function addToken(file: string, name: string, role: Role | undefined): string {
  if (!clientName.test(name))
    throw new UsageError(`a client's name is letters, digits, ".", "_" and "-", not ${JSON.stringify(name)}`)
  const listed = read(file, true)
  const before = listed.get(name)
  const given = role ?? before?.role
  if (given === undefined) throw new UsageError(`${name} is new: say what it may do by --role ${roles.join('|')}`)
  const token = randomBytes(32).toString('base64url')
  listed.set(name, { role: given, tokens: [...(before?.tokens ?? []), hashOf(token).toString('hex')] })
  const part = `${file}.part`
  rmSync(part, { force: true })
  writeFileSync(part, `${JSON.stringify(Object.fromEntries(listed), null, 2)}\n`, { mode: 0o600, flag: 'wx' })
  renameSync(part, file)
  return token
}

function read(file: string, mayBeMissing = false): Map<string, Listed> {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    if (mayBeMissing && (cause as NodeJS.ErrnoException).code === 'ENOENT') return new Map()
    throw new UsageError(`the access file cannot be read: ${(cause as Error).message}; "raftkit-kv token" makes one`)
  }
  const wrong = (what: string) => new UsageError(`${file}: ${what}`)
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    // The parser's own message quotes the text.
    throw wrong('it is not JSON')
  }
  if (!isObject(parsed)) throw wrong('an access file is an object of clients by name')
  const listed = new Map<string, Listed>()
  for (const [name, client] of Object.entries(parsed)) {
    const who = JSON.stringify(name)
    if (!clientName.test(name)) throw wrong(`${who} is no name of a client`)
    if (!isObject(client)) throw wrong(`${who} is an object with a role`)
    const { role, tokens = [], ...rest } = client
    const unknown = Object.keys(rest)[0]
    if (unknown !== undefined) throw wrong(`${who} has a role and tokens, and no ${JSON.stringify(unknown)}`)
    if (!roles.some((known) => known === role)) throw wrong(`the role of ${who} is one of ${roles.join(', ')}`)
    if (!Array.isArray(tokens) || !tokens.every((token) => typeof token === 'string' && sha256.test(token)))
      throw wrong(`the tokens of ${who} are a list of SHA-256 in hex, as "raftkit-kv token" writes them`)
    listed.set(name, { role: role as Role, tokens })
  }
  return listed
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
