import { type Command, Option } from 'commander'
import { addToken, type Role, roles } from '../server/access.ts'
import type { Surroundings } from './program.ts'

export function tokenCommand(program: Command, { stdout, stderr }: Surroundings): void {
  program
    .command('token <name>')
    .description('Make a token for a client. It is printed once; the access file keeps its hash and the role.')
    .addOption(new Option('--role <role>', 'what the client may do, if it is new').choices([...roles]))
    .option('--access <file>', 'the file that is given to serve', './access.json')
    .action((name: string, { role, access }: { role?: Role; access: string }) => {
      stdout.write(`${addToken(access, name, role)}\n`)
      stderr.write(`${name} is in ${access}; servers that run take it within a second\n`)
    })
}
