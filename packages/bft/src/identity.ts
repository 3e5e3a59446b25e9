import { Reader, Writer } from '@raftkit/bytes'
import { type GroupId, isRaftkitError, type NodeId, RaftkitError } from '@raftkit/contract'

/** Whose disk it is. Stands before all else in the state blob. */
export interface Identity {
  readonly id: NodeId
  readonly cluster: string
  readonly group: GroupId
  /** 64 hex digits: a founding with other members or other keys is another cluster. */
  readonly genesis: string
  /** Rises with every start. */
  readonly boot: number
}

const identityFormat = 1

export function writeIdentity({ id, cluster, group, genesis, boot }: Identity, promises: Uint8Array): Uint8Array {
  const writer = new Writer(256 + promises.length).u8(identityFormat)
  return writer.text(id).text(cluster).text(group).text(genesis).u64(boot).raw(promises).finish()
}

/** `promises`: what the protocol wrote. Throws `DAMAGED` or `UNKNOWN_FORMAT`. */
export function readIdentity(blob: Uint8Array): { readonly identity: Identity; readonly promises: Uint8Array } {
  return undamaged(() => {
    const reader = new Reader(blob)
    checkFormat(reader.u8(), identityFormat)
    const [id, cluster, group, genesis] = [reader.text(), reader.text(), reader.text(), reader.text()]
    const boot = reader.u64()
    return { identity: { id, cluster, group, genesis, boot }, promises: reader.rest() }
  })
}

/** Of the state blob. */
export function checkFormat(found: number, read: number): void {
  if (found !== read)
    throw new RaftkitError(
      'UNKNOWN_FORMAT',
      `state format ${found}; this version reads ${read}: use the version that wrote it`,
    )
}

/** What cannot be read any more is `DAMAGED`. */
export function undamaged<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (!isRaftkitError(cause, 'MALFORMED')) throw cause
    const what = 'the state is not what was written: give this member a new key and an empty disk'
    throw new RaftkitError('DAMAGED', what, { cause })
  }
}

/** Throws `REFUSED` for a disk that is not the one of this member. */
export function compareIdentity(found: Identity, own: Omit<Identity, 'boot'>): void {
  const name = ({ id, cluster, group }: Omit<Identity, 'boot'>): string =>
    `node ${id} of cluster ${cluster}, group ${group}`
  if (name(found) !== name(own))
    throw new RaftkitError(
      'REFUSED',
      `this data belongs to ${name(found)}, not to ${name(own)}; point each node at its own data`,
    )
  if (found.genesis !== own.genesis)
    throw new RaftkitError(
      'REFUSED',
      'this data belongs to a founding with other members or keys; list the members that founded the cluster, with their keys of then',
    )
}
