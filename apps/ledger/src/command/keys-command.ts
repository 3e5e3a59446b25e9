import { type Surroundings, UsageError } from '@raftkit/app-kv'
import type { Command } from 'commander'
import {
  addOrganisation,
  clerkFolder,
  genesisFile,
  makeOrganisations,
  memberFile,
  memberFolder,
  operatorKey,
  type Site,
} from '../organisations.ts'

interface Flags {
  cluster: string
  add?: true
  force?: true
}

export function keysCommand(program: Command, { stdout }: Surroundings): void {
  program
    .command('keys <directory> <sites...>')
    .description(
      'Make keys and certificates for a trial: for each NAME=HOST:PEER-PORT:HTTPS-PORT a folder, and the genesis file that all share.',
    )
    .option('--cluster <name>', 'the name of the ledger', 'ledger')
    .option('--add', 'for organisations that come later to the trial that is there: the genesis file stays as it is')
    .option('--force', 'replace what is there')
    .action(async (directory: string, given: string[], { cluster, add, force }: Flags) => {
      const sites = given.map(siteOf)
      if (add) {
        for (const site of sites) {
          await addOrganisation(directory, site, { force: force === true })
          stdout.write(`${memberFile(memberFolder(directory, site.id))}: what ${site.id} shows to all\n`)
        }
        return
      }
      if (sites.length < 4) throw new UsageError(`${sites.length} members stand no liar: give four at least`)
      await makeOrganisations(directory, cluster, sites, { force: force === true })
      const file = genesisFile(directory)
      stdout.write(`${file}: what all organisations share\n`)
      for (const { id } of sites)
        stdout.write(
          `${memberFolder(directory, id)}, ${clerkFolder(directory, id)}, ${operatorKey(directory, id)}: for ${id} alone\n`,
        )
    })
}

function siteOf(text: string): Site {
  const [, id, host, port, httpPort] =
    /^([A-Za-z0-9][A-Za-z0-9._-]{0,63})=([^:]+):(\d{1,5}):(\d{1,5})$/.exec(text) ?? []
  if (id === undefined || host === undefined)
    throw new UsageError(`${JSON.stringify(text)} is not like north=127.0.0.1:7101:8101`)
  return { id, host, port: Number(port), httpPort: Number(httpPort) }
}
