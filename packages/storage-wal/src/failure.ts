import { type GroupId, isRaftkitError, RaftkitError } from '@raftkit/contract'

const advice =
  'the data of this member is not to be trusted: move the directory away and add the member again as a new incarnation'

export const storeDamaged = (directory: string, what: string, cause?: unknown): RaftkitError =>
  new RaftkitError('DAMAGED', `${directory}: ${what}; ${advice}`, { cause })

export const groupDamaged = (group: GroupId, what: string, cause?: unknown): RaftkitError =>
  new RaftkitError('DAMAGED', `group ${group}: ${what}; ${advice} (other groups are not concerned)`, { cause })

export const unknownFormat = (path: string, format: number): RaftkitError =>
  new RaftkitError('UNKNOWN_FORMAT', `${path} is written in format ${format}; open it with the version that wrote it`)

export const closed = (what: string): RaftkitError => new RaftkitError('CLOSED', `${what} was closed; open it again`)

/** What the system says of a call that failed: `ENOENT`, `ENOSPC`, … */
export const systemCode = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code

/** A disk or a quota is full. */
export const isFull = (error: unknown): boolean => ['ENOSPC', 'EDQUOT'].includes(systemCode(error) ?? '')

export function failed(what: string, cause: unknown): RaftkitError {
  if (isRaftkitError(cause)) return cause
  const full = isFull(cause)
  return new RaftkitError('STORAGE_FAILED', `${what}; ${full ? 'free some space' : 'look at the cause'}`, {
    cause,
    retryable: full,
  })
}
