import { Reader, Writer } from '@raftkit/bytes'
import type { Config, Member, Role } from '@raftkit/contract'
import { RaftkitError } from '@raftkit/contract'

/** The newest format of configurations, and of all else that a member must be able to read, this version writes. */
export const configFormat = 1

const roles = [
  'voter',
  'incoming',
  'outgoing',
  'demoted',
  'learner',
  'joining',
  'leaving',
  'retiring',
] as const satisfies readonly Role[]

export const idLimit = 64
export const addressLimit = 1024
export const incarnationLimit = 64

export function writeConfig(writer: Writer, config: Config): Writer {
  writer.u8(configFormat).u32(config.format).u32(config.members.length)
  for (const { id, address, incarnation, role } of config.members) {
    writer
      .text(id)
      .text(address ?? '')
      .text(incarnation)
      .u8(roles.indexOf(role))
  }
  return writer
}

export function readConfig(reader: Reader): Config {
  const format = reader.u8()
  if (format !== configFormat) {
    throw new RaftkitError(
      'UNKNOWN_FORMAT',
      `configuration format ${format}; this version reads ${configFormat}: upgrade this node`,
    )
  }
  const newest = reader.u32()
  const members: Member[] = []
  for (let left = reader.count(13); left > 0; left--) {
    const id = reader.text(idLimit)
    const address = reader.text(addressLimit)
    const incarnation = reader.text(incarnationLimit)
    const role = roles[reader.u8()]
    if (role === undefined) throw new RaftkitError('MALFORMED', `member ${id} has no known role`)
    members.push(address === '' ? { id, incarnation, role } : { id, address, incarnation, role })
  }
  return { format: newest, members }
}

export const encodeConfig = (config: Config): Uint8Array => writeConfig(new Writer(), config).finish()

export function decodeConfig(bytes: Uint8Array): Config {
  const reader = new Reader(bytes)
  const config = readConfig(reader)
  reader.end()
  return config
}
