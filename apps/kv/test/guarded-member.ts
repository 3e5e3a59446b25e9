import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAuthority, type Issued, issue } from '@raftkit/certificates'
import { memoryStorage } from '@raftkit/storage-memory'
import { memoryNetwork } from '@raftkit/transport-memory'
import { addToken, type Role } from '../src/server/access.ts'
import { front } from '../src/server/front.ts'
import { type Served, serve } from '../src/server/serve.ts'
import type { Settings } from '../src/server/settings.ts'
import { type Answer, type Asking, ask } from './three-members.ts'

/** A cluster of one in this process, with an access file, certificates, and everything it said. */
export class GuardedMember {
  readonly directory: string
  readonly said: string[] = []
  readonly served: Served
  /** By name: a client's name is its role. */
  readonly tokens: Readonly<Record<Role, string>>

  private constructor(directory: string, served: Served, tokens: Record<Role, string>, said: string[]) {
    this.directory = directory
    this.served = served
    this.tokens = tokens
    this.said = said
  }

  /** `tls`: certificates by file name, `cert.pem`, `key.pem`, `ca.pem`. */
  static async start(settings: Settings = {}, tls?: Issued): Promise<GuardedMember> {
    const directory = mkdtempSync(join(tmpdir(), 'raftkit-kv-'))
    const access = join(directory, 'access.json')
    const tokens = {
      read: addToken(access, 'read', 'read'),
      write: addToken(access, 'write', 'write'),
      admin: addToken(access, 'admin', 'admin'),
    }
    const files: Settings = { access }
    if (tls) {
      for (const name of ['ca', 'cert', 'key'] as const) writeFileSync(join(directory, `${name}.pem`), tls[name])
      files.httpCert = join(directory, 'cert.pem')
      files.httpKey = join(directory, 'key.pem')
      files.clientCa = join(directory, 'ca.pem')
    }
    const said: string[] = []
    const served = await serve(
      {
        id: 'n1',
        cluster: 'test',
        members: { n1: 'n1' },
        timeout: 5_000,
        electionTimeout: 100,
        http: front({ host: '127.0.0.1', port: 0, loopback: true }, { ...files, ...settings }),
        storage: memoryStorage(),
        peers: { transport: memoryNetwork().transport() },
      },
      (line) => void said.push(line),
    )
    const member = new GuardedMember(directory, served, tokens, said)
    while (!(await member.ready(tls)));
    return member
  }

  get access(): string {
    return join(this.directory, 'access.json')
  }

  ask(path: string, asking?: Asking): Promise<Answer> {
    return ask(this.served.url, path, asking)
  }

  async ready(tls?: Issued): Promise<boolean> {
    return (await this.ask('/readyz', tls && { tls: { ca: tls.ca } })).status === 200
  }

  async stop(): Promise<void> {
    await this.served.stop()
    rmSync(this.directory, { recursive: true })
  }
}

export const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` })

/** Who comes by certificate, and what is wrong with some of them. */
export async function certificates(): Promise<Readonly<Record<string, Issued>>> {
  const yesterday = new Date(Date.now() - 86_400_000)
  const authority = await createAuthority({ cluster: 'test', from: yesterday })
  const other = await createAuthority({ cluster: 'test' })
  const elsewhere = await createAuthority({ cluster: 'other' })
  return {
    server: await issue(authority, { node: 'n1' }),
    'the certificate of read': await issue(authority, { client: 'read' }),
    'the certificate of write': await issue(authority, { client: 'write' }),
    'the certificate of admin': await issue(authority, { client: 'admin' }),
    'one that is not listed': await issue(authority, { client: 'stranger' }),
    'one of a node': await issue(authority, { node: 'admin' }),
    'one of another CA': await issue(other, { client: 'admin' }),
    'one of another cluster': await issue(elsewhere, { client: 'admin' }),
    'one that expired': await issue(authority, { client: 'admin', from: yesterday, days: 0.5 }),
  }
}
