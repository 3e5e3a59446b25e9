import { type Command, Option } from 'commander'
import { parseMembers } from '../server/address.ts'
import type { Settings } from '../server/settings.ts'
import { positive, type Surroundings } from './command-line.ts'

interface Flags extends Settings {
  config?: string
  untilStdinEnds?: true
  endpoints?: string
  json?: true
}

export function serveCommand(program: Command, { stdin, stderr, env, interrupted }: Surroundings): void {
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
      'tcp, grpc, or memory for a cluster of one (default: "tcp")',
      env.RAFTKIT_KV_TRANSPORT,
    )
    .option('--snapshot-entries <count>', 'a snapshot after so many entries', positive)
    .option('--trailing-entries <count>', 'older entries kept for members that lag', positive)
    .option('--election-timeout <milliseconds>', 'how long a leader may be silent', positive)
    .addOption(new Option('--lease-drift <share>', 'allow lease reads while clocks drift by less').argParser(Number))
    .option('--insecure', 'let HTTP be reached from other machines, although it asks nobody who they are')
    .addOption(new Option('--until-stdin-ends', 'leave when who started it is gone').hideHelp())
    .action(async (_options, command: Command) => {
      const { config, untilStdinEnds, endpoints: _, json: __, ...flags } = command.optsWithGlobals<Flags>()
      // Only now: a client needs none of what a server is made of.
      const [{ resolveSettings }, { serve }] = await Promise.all([
        import('../server/settings.ts'),
        import('../server/serve.ts'),
      ])
      const settings = await resolveSettings(flags, config)
      const served = await serve(settings, (line) => void stderr.write(`${settings.id}: ${line}\n`))
      const leave = () => void served.stop()
      interrupted.addEventListener('abort', leave)
      if (interrupted.aborted) leave()
      if (untilStdinEnds) stdin.on('end', leave).resume()
      await served.ended.finally(() => stdin.destroy())
    })
}
