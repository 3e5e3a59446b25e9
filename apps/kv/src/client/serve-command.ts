import { type Command, Option } from 'commander'
import { parseMembers } from '../server/address.ts'
import type { Settings } from '../server/settings.ts'
import { positive } from './command-line.ts'
import type { CredentialFlags } from './credentials.ts'
import { type Surroundings, untilEnded } from './program.ts'

interface Flags extends Settings, CredentialFlags {
  config?: string
  untilStdinEnds?: true
  endpoints?: string
  json?: true
  maxConnections?: number
  maxInFlightBytes?: number
}

export function serveCommand(program: Command, around: Surroundings): void {
  const { stderr, env } = around
  program
    .command('serve')
    .description('Run one member. Every flag can stand in a configuration file, by its name.')
    .option('--config <file>', 'a module whose default export gives settings, adapters among them')
    .option('--id <name>', "this member's name")
    .option('--cluster <name>', 'the name of the cluster (default: "kv")')
    .option('--members <list>', 'the founders: n1=host:port,n2=host:port,…', parseMembers)
    .option('--join', 'wait to be added by a member')
    .option('--address <host:port>', 'where peers dial this member, if --members does not say')
    .option('--http <host:port>', 'where HTTP is served (default: "127.0.0.1:8001")')
    .option('--data <directory>', 'where files are kept (default: "./data/<id>")')
    .option(
      '--storage <name>',
      'wal, level, or memory: a restart is a wipe then (default: "wal")',
      env.RAFTKIT_KV_STORAGE,
    )
    .option(
      '--transport <name>',
      'tcp, grpc, ws, or memory for a cluster of one (default: "tcp")',
      env.RAFTKIT_KV_TRANSPORT,
    )
    .option(
      '--peer-tls <directory>',
      'mutual TLS between members: ca.pem, cert.pem, key.pem, and deny.txt if it is there',
    )
    .option('--peer-ca <file>', 'who signs the certificates of members, instead of the one in --peer-tls')
    .option('--peer-cert <file>', "this member's certificate, the same")
    .option('--peer-key <file>', 'its key, the same')
    .option('--peer-deny <file>', 'members and certificates that are turned down, one per line, the same')
    .option('--peer-secret <file>', 'what all members know: who connects proves that he does, too')
    .option('--snapshot-entries <count>', 'a snapshot after so many entries', positive)
    .option('--trailing-entries <count>', 'older entries kept for members that lag', positive)
    .option('--election-timeout <milliseconds>', 'how long a leader may be silent', positive)
    .addOption(new Option('--lease-drift <share>', 'allow lease reads while clocks drift by less').argParser(Number))
    .option('--access <file>', 'who may do what: clients, roles, hashes of tokens; "token" makes one')
    .option('--http-cert <file>', 'serve HTTPS with this certificate')
    .option('--http-key <file>', 'its key')
    .option('--client-ca <file>', 'take certificates of clients that these authorities signed')
    .option('--allow-host <name>', 'a further name under which HTTP may be asked; may be repeated', also)
    .option('--allow-origin <origin>', 'a site whose pages may ask; may be repeated', also)
    .option('--max-connections <count>', 'open HTTP connections (default: 1024)', positive)
    .option('--max-in-flight-bytes <count>', 'bytes of all requests at the same time (default: 64 MiB)', positive)
    .option('--insecure', 'let this member be reached from other machines, although it asks nobody who they are')
    .addOption(new Option('--until-stdin-ends', 'leave when who started it is gone').hideHelp())
    .action(async (_options, command: Command) => {
      const { config, untilStdinEnds, maxConnections, maxInFlightBytes, ...rest } = command.optsWithGlobals<Flags>()
      // Those of a client.
      const { endpoints, json, token, ca, cert, key, ...flags } = rest
      const limits = {
        ...(maxConnections !== undefined && { connections: maxConnections }),
        ...(maxInFlightBytes !== undefined && { inFlightBytes: maxInFlightBytes }),
      }
      // Only now: a client needs none of what a server is made of.
      const [{ resolveSettings }, { serve }] = await Promise.all([
        import('../server/settings.ts'),
        import('../server/serve.ts'),
      ])
      const say = (line: string) => void stderr.write(`${settings.id}: ${line}\n`)
      const settings = await resolveSettings({ ...flags, limits }, config, say)
      const served = await serve(settings, say)
      await untilEnded(served, around, untilStdinEnds === true)
    })
}

const also = (value: string, before: readonly string[] = []): string[] => [...before, value]
