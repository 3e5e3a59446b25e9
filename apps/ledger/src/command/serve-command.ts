import { positive, UsageError, untilEnded } from '@raftkit/app-kv'
import { type Command, Option } from 'commander'
import type { Opening } from './command-line.ts'

interface Flags {
  id: string
  data?: string
  identity?: string
  http?: string
  electionTimeout: number
  lie?: string
  untilStdinEnds?: true
}

export function serveCommand(program: Command, { desk }: Opening): void {
  program
    .command('serve')
    .description('Run one member. --identity is the folder of the member.')
    .requiredOption('--id <name>', 'which of the members; whoever the genesis file does not name waits to be made one')
    .option('--data <directory>', 'where files are kept (default: "./data/<id>")')
    .option('--election-timeout <milliseconds>', 'how long a leader may make no progress', positive, 1000)
    .addOption(new Option('--lie <name>', 'lie, for trials').hideHelp())
    .addOption(new Option('--http <host:port>', 'as the genesis file says').hideHelp())
    .addOption(new Option('--until-stdin-ends', 'leave when who started it is gone').hideHelp())
    .action(async (_options, command: Command) => {
      const {
        id,
        data = `./data/${id}`,
        identity,
        electionTimeout,
        lie,
        untilStdinEnds,
      } = command.optsWithGlobals<Flags>()
      const at = desk(command)
      if (identity === undefined)
        throw new UsageError('serve needs --identity DIR, with certificate and keys of the member')
      // Only now: a client needs none of what a member is made of.
      const { serve } = await import('../server/serve.ts')
      const options = { genesis: at.genesis, trust: at.trust, id, identity, data, electionTimeout, lie }
      const served = await serve(options, (line) => at.say(`${id}: ${line}`))
      await untilEnded(served, at, untilStdinEnds === true)
    })
}
